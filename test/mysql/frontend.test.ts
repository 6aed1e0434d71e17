import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nativeAnswer } from '../../src/mysql/auth-plugins.js';
import { COM, FIELD_TYPE, STATUS } from '../../src/mysql/capabilities.js';
import { encodeInitDb, encodePrepare, encodeQuery, encodeStatementClose } from '../../src/mysql/commands.js';
import { encodeAuthSwitchRequest, encodeChangeUser } from '../../src/mysql/handshake.js';
import { encodePacket, payloadOf } from '../../src/mysql/packets.js';
import {
  decodeEof,
  decodeErr,
  decodeOk,
  decodePrepareOk,
  decodeTextRow,
} from '../../src/mysql/result-messages.js';
import { Writer } from '../../src/mysql/wire.js';
import { openClientDoor, password, until } from './client-door.js';
import { CAPABILITIES, RawClient } from './raw-client.js';

type T = { after: (act: () => Promise<void>) => void };
const after = (t: T) => (act: () => Promise<void>) => t.after(act);

const query = (sql: string) => encodeQuery(sql);
const execute = (id: number, rest: Buffer, flags = 0) =>
  encodePacket(new Writer().int1(COM.STMT_EXECUTE).int4(id).int1(flags).int4(1).bytes(rest).finish());
const withId = (command: number, id: number, rest = Buffer.alloc(0)) =>
  encodePacket(new Writer().int1(command).int4(id).bytes(rest).finish());
/** NULL bitmap, types follow, one string. */
const oneString = (text: string) =>
  new Writer().int1(0).int1(1).int2(FIELD_TYPE.VAR_STRING).lenencText(text).finish();

describe('a frontend', () => {
  test('answers commands that came in one write, each numbered on from its own', async (t) => {
    const door = await openClientDoor(after(t));
    const client = await RawClient.enter(door.port);
    client.send(
      Buffer.concat([query('update x'), query('select 1'), encodePacket(Buffer.of(COM.PING)), query('fail')]),
    );
    await client.came(8);
    assert.deepEqual(client.sequences, [1, 1, 2, 3, 4, 5, 1, 1]);
    assert.equal(decodeOk(client.payloads[0]!).affectedRows, 3n);
    assert.deepEqual(decodeTextRow(client.payloads[4]!, 1), [Buffer.from('select 1')]);
    assert.equal(decodeEof(client.payloads[5]!).status, STATUS.AUTOCOMMIT);
    assert.equal(decodeErr(client.payloads[7]!).errno, 1235);
  });

  test('reads commands one byte at a time', async (t) => {
    const door = await openClientDoor(after(t));
    const client = await RawClient.enter(door.port);
    const bytes = Buffer.concat([
      query('select 1'),
      encodePrepare('select ?'),
      execute(1, oneString('ä')),
      query('begin'),
    ]);
    await client.sendSlowly(bytes);
    await client.came(5 + 5 + 5 + 1);
    const whole = client.bytes;
    client.forget();
    const other = await RawClient.enter(door.port);
    other.send(bytes);
    await other.came(16);
    assert.deepEqual(whole, other.bytes);
  });

  test('says after each statement whether another result follows and whether a transaction is open', async (t) => {
    const door = await openClientDoor(after(t));
    const client = await RawClient.enter(door.port);
    client.send(query('begin; update x; update y'));
    await client.came(3);
    const { MORE_RESULTS_EXISTS, IN_TRANS } = STATUS;
    const flags = client.payloads.map(
      (payload) => decodeOk(payload).status & (MORE_RESULTS_EXISTS | IN_TRANS),
    );
    assert.deepEqual(flags, [MORE_RESULTS_EXISTS, MORE_RESULTS_EXISTS, IN_TRANS]);
    assert.deepEqual(client.sequences, [1, 2, 3]);
  });

  test('gives statements ids of its own, also in one write with their execution', async (t) => {
    const door = await openClientDoor(after(t));
    const client = await RawClient.enter(door.port);
    const last = 0xffffffff;
    client.send(
      Buffer.concat([
        encodePrepare('a ?'),
        execute(1, oneString('x'), 1),
        encodePrepare('b ?'),
        execute(last, oneString('y')),
      ]),
    );
    await client.came(20);
    assert.deepEqual(
      [0, 10].map((index) => decodePrepareOk(client.payloads[index]!)),
      [1, 2].map((statementId) => ({ statementId, parameters: 1, columns: 1, warnings: 0 })),
    );
    const executions = door.requests.flatMap(({ steps }) => steps).filter((step) => step.type === 'execute');
    assert.ok(
      executions.every(({ frame }) => frame[9] === 0),
      'no cursor is asked for',
    );
    const bound = door.requests.flatMap(({ steps }) => steps).filter((step) => step.type === 'bind');
    assert.deepEqual(
      bound.map(({ statementName, parameters }) => [statementName, parameters.bytes(0)?.toString()]),
      [
        ['1', 'x'],
        ['2', 'y'],
      ],
    );
  });

  test('remembers parameter types and gathers long data', async (t) => {
    const door = await openClientDoor(after(t));
    const client = await RawClient.enter(door.port);
    client.send(encodePrepare('a ? ?'));
    await client.came(7);
    client.forget();
    const types = (first: number) => new Writer().int1(0).int1(1).int2(first).int2(FIELD_TYPE.LONG_BLOB);
    const number = types(FIELD_TYPE.LONG | 0x8000).int4(7);
    const long = (text: string) =>
      withId(COM.STMT_SEND_LONG_DATA, 1, Buffer.concat([Buffer.of(1, 0), Buffer.from(text)]));
    client.send(long('ab'), long('cd'), execute(1, number.finish()));
    await client.came(6);
    client.send(execute(1, Buffer.concat([Buffer.of(0b10, 0), Buffer.from('08000000', 'hex')])));
    client.send(long('lost'), withId(COM.STMT_RESET, 1), execute(1, Buffer.of(0b11, 0)));
    await client.came(6 + 6 + 1 + 6);
    const bound = door.requests.flatMap(({ steps }) => steps).filter((step) => step.type === 'bind');
    assert.deepEqual(
      bound.map(({ parameters }) => [0, 1].map((index) => parameters.bytes(index)?.toString('latin1'))),
      [
        ['\x07\0\0\0', 'abcd'],
        ['\x08\0\0\0', undefined],
        [undefined, undefined],
      ],
    );
    assert.ok(bound.every(({ parameters }) => parameters.typeOid(0) === (FIELD_TYPE.LONG | 0x8000)));
    assert.ok(bound.every(({ parameters }) => parameters.count === 2 && parameters.format(0) === 1));
  });

  test('an execution that does not fit its statement ends the connection, one of an unknown statement is an error', async (t) => {
    const door = await openClientDoor(after(t));
    const client = await RawClient.enter(door.port);
    client.send(
      execute(9, Buffer.alloc(0)),
      encodePrepare('fail'),
      execute(1, Buffer.alloc(0)),
      encodePrepare('a ?'),
    );
    await client.came(8);
    const numbers = [0, 1, 2].map((index) => decodeErr(client.payloads[index]!).errno);
    assert.deepEqual(numbers, [1243, 1064, 1243]);
    client.send(execute(2, Buffer.of(0, 0)));
    await client.came(9);
    assert.equal(decodeErr(client.payloads[8]!).errno, 1210, 'no types are known');
    client.send(execute(2, Buffer.of(0, 1, 0xfd)));
    await client.closed();
    assert.equal(decodeErr(client.payloads.at(-1)!).errno, 1047);
    assert.deepEqual(door.closes, ['protocol-violation']);
  });

  test('closing a statement is never answered, whatever comes of it', async (t) => {
    const door = await openClientDoor(after(t), {
      serve: (frontend) => ({
        onRequest: ({ steps, own }) => {
          if (steps[0]?.type === 'close-statement') frontend.sendError(new Error('x') as never);
          else if (own !== undefined) {
            frontend.completes();
            frontend.send(own);
          } else
            frontend.send(
              frontend.answers.describedStatement('1', { parameterTypes: [], columns: undefined }),
            );
          frontend.sendReady('idle');
        },
      }),
    });
    const client = await RawClient.enter(door.port);
    client.send(
      encodePrepare('a'),
      encodeStatementClose(1),
      encodeStatementClose(99),
      encodePacket(Buffer.of(COM.PING)),
    );
    await client.came(2);
    assert.equal(decodeOk(client.payloads[1]!).affectedRows, 0n);
    assert.deepEqual(client.sequences, [1, 1]);
    assert.deepEqual(
      door.requests.map(({ steps, end }) => [end, ...steps.map((step) => step.type)].join(' ')),
      ['sync parse describe-statement', 'sync close-statement', 'own'],
    );
  });

  test('makes statements of COM_INIT_DB and COM_PROCESS_KILL, and answers small talk', async (t) => {
    const door = await openClientDoor(after(t));
    const client = await RawClient.enter(door.port);
    client.send(encodeInitDb('a`b'), withId(COM.PROCESS_KILL, 4711));
    await client.came(2);
    const sql = door.requests.map(({ steps }) => (steps[0]?.type === 'query' ? steps[0] : undefined));
    assert.deepEqual(
      sql.map((step) => step?.sql),
      ['USE `a``b`', 'KILL 4711'],
    );
    assert.equal(payloadOf(sql[0]!.frame).toString('utf8', 1), 'USE `a``b`');
    client.forget();
    client.send(encodePacket(Buffer.of(COM.STATISTICS)));
    client.send(encodePacket(Buffer.of(COM.SET_OPTION, 1, 0)));
    for (const command of [COM.REFRESH, COM.STMT_FETCH, COM.BINLOG_DUMP, 0x77])
      client.send(encodePacket(Buffer.of(command)));
    client.send(encodePacket(Buffer.alloc(0)));
    await client.came(7);
    assert.match(client.payloads[0]!.toString(), /^Uptime: \d+ {2}Threads: 1/);
    assert.equal(decodeEof(client.payloads[1]!).warnings, 0);
    assert.equal(door.frontends[0]!.allowsSeveralStatements, false);
    assert.deepEqual(
      client.payloads.slice(2).map((payload) => decodeErr(payload).errno),
      [1235, 1421, 1235, 1047, 1047],
    );
  });

  test('resets the session by COM_RESET_CONNECTION and by COM_CHANGE_USER with the password', async (t) => {
    const door = await openClientDoor(after(t), { rule: password('secret') });
    const client = await RawClient.enter(door.port, 'secret');
    const change = {
      user: 'ann',
      answer: Buffer.alloc(0),
      database: 'shop',
      collationId: 45,
      plugin: 'mysql_native_password',
      attributes: new Map(),
    };
    client.send(
      encodePrepare('a'),
      encodePacket(Buffer.of(COM.RESET_CONNECTION)),
      execute(1, Buffer.alloc(0)),
    );
    await client.came(3);
    assert.equal(decodeErr(client.payloads[2]!).errno, 1243, 'its statements are gone');
    client.forget();
    client.send(Buffer.concat([query('begin'), encodePacket(encodeChangeUser(change, CAPABILITIES))]));
    await client.came(2);
    const asked = client.payloads[1]!;
    const challenge = asked.subarray(-21, -1);
    assert.deepEqual(asked, encodeAuthSwitchRequest({ plugin: 'mysql_native_password', challenge }));
    client.command(nativeAnswer('secret', challenge), 2);
    await client.came(3);
    assert.deepEqual(client.sequences, [1, 1, 3]);
    assert.equal(decodeOk(client.payloads[2]!).status, STATUS.AUTOCOMMIT, 'the transaction is gone');
  });

  test('COM_CHANGE_USER with a wrong password ends the connection', async (t) => {
    const door = await openClientDoor(after(t), { rule: password('secret') });
    const client = await RawClient.enter(door.port, 'secret');
    const change = {
      user: 'ann',
      answer: Buffer.alloc(0),
      database: '',
      collationId: 45,
      plugin: 'mysql_native_password',
      attributes: new Map(),
    };
    client.send(encodePacket(encodeChangeUser(change, CAPABILITIES)));
    await client.came(1);
    client.command(nativeAnswer('wrong', client.payloads[0]!.subarray(-21, -1)), 2);
    await client.closed();
    assert.equal(decodeErr(client.payloads[1]!).errno, 1045);
    assert.deepEqual(client.sequences, [1, 3]);
    assert.ok(door.requests.length === 0);
  });

  for (const [what, bytes, errno] of [
    ['a packet that is longer than allowed', Buffer.from('ffff0f0003', 'hex'), 1153],
    ['a command with a wrong number', encodePacket(Buffer.of(COM.PING), 1), 1047],
  ] as const) {
    test(`ends the connection for ${what}, and says why`, async (t) => {
      const door = await openClientDoor(after(t), { limits: { maxMessageBytes: 100_000 } });
      const client = await RawClient.enter(door.port);
      client.send(bytes);
      await client.closed();
      assert.equal(decodeErr(client.payloads[0]!).errno, errno);
      assert.deepEqual(door.closes, ['protocol-violation']);
    });
  }

  test('keeps no more long data than a packet may hold', async (t) => {
    const door = await openClientDoor(after(t), { limits: { maxMessageBytes: 100_000 } });
    const client = await RawClient.enter(door.port);
    client.send(encodePrepare('a ?'));
    await client.came(5);
    for (let piece = 0; piece < 2; piece++)
      client.send(withId(COM.STMT_SEND_LONG_DATA, 1, Buffer.alloc(60_000)));
    await client.closed();
    assert.equal(decodeErr(client.payloads.at(-1)!).errno, 1153);
  });

  test('holds a sender back while its client does not read, and lets it go on', async (t) => {
    const row = encodePacket(new Writer().lenencBytes(Buffer.alloc(10_000)).finish());
    let sent = 0;
    let drains = 0;
    let atFirst: number | undefined;
    const door = await openClientDoor(after(t), {
      serve: (frontend) => {
        const sendUntilSlow = () => {
          while (sent < 5_000 && frontend.send(row)) sent++;
          atFirst ??= sent;
        };
        return {
          onRequest: sendUntilSlow,
          onDrain: () => {
            drains++;
            if (drains < 20) sendUntilSlow();
          },
        };
      },
    });
    const client = await RawClient.enter(door.port);
    client.socket.pause();
    client.send(query('x'));
    await until(() => atFirst !== undefined);
    assert.ok(atFirst! < 100, `${atFirst} rows were taken in one turn`);
    client.socket.resume();
    await until(() => drains === 20);
  });

  test('stops reading while it is paused', async (t) => {
    const door = await openClientDoor(after(t), {
      serve: (frontend) => ({ onRequest: () => frontend.pause() }),
    });
    const client = await RawClient.enter(door.port);
    client.send(Buffer.concat([query('a'), query('b')]));
    await until(() => door.requests.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(door.requests.length, 1);
    door.frontends[0]!.resume();
    await until(() => door.requests.length === 2);
  });

  test('tells why a session ends, and that a client has left', async (t) => {
    const door = await openClientDoor(after(t));
    const [first, second, third] = [
      await RawClient.enter(door.port),
      await RawClient.enter(door.port),
      await RawClient.enter(door.port),
    ];
    const { OperatingError } = await import('../../src/lib/errors.js');
    door.frontends[0]!.end(new OperatingError('shutting-down', 'good night'));
    await first.closed();
    assert.deepEqual(decodeErr(first.payloads[0]!), {
      errno: 1053,
      sqlstate: '08S01',
      message: 'good night',
    });
    second.send(encodePacket(Buffer.of(COM.QUIT)));
    await second.closed();
    third.socket.destroy();
    await until(() => door.closes.length === 3);
    assert.deepEqual(door.closes.slice(1).sort(), ['lost', 'terminated']);
  });
});
