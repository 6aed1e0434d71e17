import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mariadb, { type ConnectionConfig } from 'mariadb';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { CAPABILITY, COM, FIELD_TYPE, MARIADB_CAPABILITY } from '../../src/mysql/capabilities.js';
import { encodePrepare, encodeQuery } from '../../src/mysql/commands.js';
import { encodePacket } from '../../src/mysql/packets.js';
import { Writer } from '../../src/mysql/wire.js';
import { lastFirst } from '../cluster.js';
import { startRingferry } from '../integration/harness.js';
import { runMysql, startMariadb } from '../mariadb.js';
import { conversation, enter, PING } from './conversation.js';
import { CAPABILITIES } from './raw-client.js';

const atEnd = lastFirst(after);
const [a, b, c] = await startMariadb(atEnd, { count: 3 });
for (const server of [a!, b!, c!])
  await runMysql(
    server.url(''),
    'CREATE DATABASE shop',
    'CREATE TABLE shop.t (id int PRIMARY KEY, name varchar(20))',
    'CREATE TABLE shop.lone (id int)',
  );
await runMysql(a!.url('shop'), 'CREATE PROCEDURE two() BEGIN SELECT 1 AS one; SELECT id, name FROM t; END');
const start = (mode: string, shards: Record<string, typeof a>) =>
  startRingferry(atEnd, {
    engine: 'mysql',
    shards: shards as never,
    pool: { mode },
    ...(Object.keys(shards).length > 1 ? { tables: { t: { key: 'id' } } } : {}),
  });
const transaction = await start('transaction', { a });
const session = await start('session', { a });
const sharded = await start('transaction', { a, b, c });
const doors = { transaction, session, 'three shards': sharded };

const NEW_FORM = CAPABILITY.DEPRECATE_EOF | CAPABILITY.SESSION_TRACK;

const execute = (statement: number) =>
  encodePacket(
    new Writer()
      .int1(COM.STMT_EXECUTE)
      .int4(statement)
      .int1(0)
      .int4(1)
      .int1(0)
      .int1(1)
      .int2(FIELD_TYPE.LONG)
      .int4(1)
      .finish(),
  );

describe('a client with DEPRECATE_EOF and SESSION_TRACK', () => {
  const commands = [
    encodeQuery('DELETE FROM t'),
    encodeQuery("INSERT INTO t VALUES (1, 'ä'), (2, NULL)"),
    encodeQuery('SELECT id, name FROM t ORDER BY id'),
    encodeQuery('SELECT id FROM t; SELECT nonsense'),
    encodeQuery('CALL two()'),
    encodeQuery('SET autocommit = 0'),
    encodeQuery('SELECT 1'),
    encodeQuery('SET autocommit = 1'),
    encodeQuery('BEGIN'),
    encodeQuery('UPDATE t SET name = 1'),
    encodeQuery('ROLLBACK'),
    encodeQuery('SELECT * FROM nowhere'),
    encodePrepare('SELECT id, name FROM t WHERE id = ?'),
    execute,
    encodePrepare('DO 1'),
    PING,
    encodePacket(Buffer.of(COM.SET_OPTION, 0, 0)),
    encodePacket(Buffer.concat([Buffer.of(COM.INIT_DB), Buffer.from('shop')])),
    encodeQuery('USE shop'),
    encodePacket(Buffer.of(COM.RESET_CONNECTION)),
  ];

  for (const [name, door] of Object.entries({ transaction, session }))
    test(`gets byte by byte what the server itself would have said (${name})`, async () => {
      const capabilities = CAPABILITIES | NEW_FORM;
      await runMysql(a!.url('shop'), 'DELETE FROM t', 'INSERT INTO t VALUES (1, NULL), (2, NULL)');
      const direct = await conversation(a!.port, { capabilities }, commands);
      const proxied = await conversation(door.ports.mysql!, { capabilities }, commands);
      for (const [index, command] of commands.entries())
        assert.deepEqual(proxied[index], direct[index], command === execute ? 'execute' : String(command));
    });

  test('is told of merged answers in the same form', async () => {
    const client = await enter(sharded.ports.mysql!, { capabilities: CAPABILITIES | NEW_FORM });
    client.send(encodeQuery('SELECT count(*) FROM t'));
    await client.came(4);
    const [count, , row, end] = client.payloads;
    assert.deepEqual(
      [count!.toString('hex'), row!.length, end!.toString('hex')],
      ['01', 2, 'fe000002000000'],
    );
    client.socket.destroy();
  });
});

describe('a client with MARIADB_CLIENT_CACHE_METADATA', () => {
  test('is told with each column count that definitions follow', async () => {
    const facts = {
      capabilities: (CAPABILITIES & ~CAPABILITY.LONG_PASSWORD) | NEW_FORM,
      mariadbCapabilities: MARIADB_CAPABILITY.CACHE_METADATA,
    };
    for (const port of [a!.port, transaction.ports.mysql!]) {
      const client = await enter(port, facts);
      client.send(encodeQuery('SELECT 1'));
      await client.came(4);
      assert.deepEqual(client.payloads[0], Buffer.of(1, 1));
      client.socket.destroy();
    }
  });
});

describe('drivers that speak the newer forms', () => {
  for (const [name, door] of Object.entries(doors)) {
    test(`the mariadb connector with and without EOFs (${name})`, async () => {
      for (const keepEof of [false, true]) {
        const where = { host: '127.0.0.1', port: door.ports.mysql!, user: 'root', database: 'shop' };
        const connection = await mariadb.createConnection({ ...where, keepEof } as ConnectionConfig);
        try {
          await connection.query('DELETE FROM t WHERE id = 77');
          await connection.batch('INSERT INTO t VALUES (?, ?)', [[77, 'a']]);
          for (let round = 0; round < 3; round++)
            assert.deepEqual(
              [...(await connection.execute('SELECT name FROM t WHERE id = ?', [77]))],
              [{ name: 'a' }],
            );
          await assert.rejects(connection.query('SELECT 1 FROM nothing'), /1146|1105|doesn't exist/);
          assert.deepEqual([...(await connection.query("SELECT 'ü' AS x"))], [{ x: 'ü' }]);
        } finally {
          await connection.end();
        }
      }
    });

    test(`mysql2 with query attributes, as text and prepared (${name})`, async () => {
      const connection = await mysql.createConnection({ uri: door.url() });
      try {
        const attributes = { traceparent: '00-ab', number: 5, nothing: null };
        const text = { sql: 'SELECT ? + 1 AS n', values: [41], attributes } as mysql.QueryOptions;
        const [plain] = await connection.query<RowDataPacket[]>(text);
        assert.deepEqual(plain, [{ n: 42 }]);
        for (const values of [['a'], [null]]) {
          const [bound] = await connection.execute<RowDataPacket[]>({
            sql: 'SELECT ? AS s',
            values,
            attributes,
          } as mysql.QueryOptions);
          assert.deepEqual(bound, [{ s: values[0] }]);
        }
        const [none] = await connection.execute<RowDataPacket[]>({
          sql: 'SELECT 7 AS n',
          attributes,
        } as mysql.QueryOptions);
        assert.deepEqual(none, [{ n: 7 }]);
      } finally {
        await connection.end();
      }
    });
  }
});

describe('COM_FIELD_LIST', () => {
  const list = (table: string, pattern = '') =>
    encodePacket(new Writer().int1(COM.FIELD_LIST).nulText(table).text(pattern).finish());

  test('is answered with the definitions of the table, on one shard, sharded and at home', async () => {
    for (const capabilities of [CAPABILITIES, CAPABILITIES | NEW_FORM])
      for (const table of ['t', 'lone', 'nowhere']) {
        const [direct] = await conversation(a!.port, { capabilities }, [list(table)]);
        for (const door of Object.values(doors)) {
          const [proxied] = await conversation(door.ports.mysql!, { capabilities }, [list(table)]);
          if (table === 'nowhere') {
            assert.deepEqual([proxied!.length, proxied![0]!.slice(0, 5)], [2, direct![0]!.slice(0, 5)]);
            continue;
          }
          assert.equal(proxied!.length, direct!.length);
          // Behind the definition the server tells the default value; ours is none.
          for (const [index, definition] of proxied!.slice(0, -2).entries()) {
            assert.ok(definition.endsWith('\xfb'));
            assert.ok(
              direct![index]!.startsWith(definition.slice(0, -1)),
              `${definition} | ${direct![index]}`,
            );
          }
          assert.deepEqual(proxied!.slice(-2), direct!.slice(-2));
        }
      }
  });

  test('with a pattern is refused, and the client goes on', async () => {
    const [refused, ping] = await conversation(sharded.ports.mysql!, { capabilities: CAPABILITIES }, [
      list('t', 'n%'),
      PING,
    ]);
    assert.match(refused![0]!, /COM_FIELD_LIST with a pattern/);
    assert.equal(ping!.length, 2);
  });
});
