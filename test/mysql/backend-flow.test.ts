import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { FIELD_TYPE } from '../../src/mysql/capabilities.js';
import { MAX_PAYLOAD_BYTES } from '../../src/mysql/packets.js';
import { decodeBinaryRow, decodeColumn, decodeTextRow } from '../../src/mysql/result-messages.js';
import { type Backend, ServerFailure } from '../../src/pool/backend.js';
import type { Request } from '../../src/pool/request.js';
import { connect, endAll, servers, startServer } from './backend-connections.js';
import { forward, int, prepared, request, text, values } from './backend-requests.js';
import { TricklingProxy } from './trickling-proxy.js';

const MEGABYTE = 1024 * 1024;

before(async () => {
  await startServer({ 'max-allowed-packet': '64M' });
  const backend = await connect();
  await backend.run('CREATE TABLE filled (id int PRIMARY KEY, v longblob)');
});
after(endAll);

/** What a client would get for these requests, whatever way the bytes came. */
async function conversation(backend: Backend): Promise<unknown[]> {
  const statement = prepared('21', 'SELECT ? AS a, seq AS b FROM seq_1_to_3');
  const heard: unknown[] = [];
  const note = async (given: Request, before: readonly string[] = []) => {
    const { payloads, tags, error, status } = await forward(backend, given, { before });
    heard.push({ payloads, tags, errno: error?.errno, status });
  };
  await note(request.query("SELECT seq, REPEAT('x', seq) FROM seq_1_to_300; DO 1; SELECT NULL"));
  await note(request.prepare(statement));
  await note(request.execute(statement, '21', text('öä')), ['BEGIN']);
  await note(request.query('SELECT nonsense'));
  await note(request.query('COMMIT'));
  await note(request.query('SELECT 1'), ["XA START 'a'"]);
  heard.push(await backend.rows("XA END 'a'; XA ROLLBACK 'a'; SELECT 'end'"));
  heard.push(await backend.rows('SELECT seq, NULL FROM seq_1_to_20'));
  return heard;
}

describe('a backend reads the same answers', () => {
  let expected: unknown[];
  before(async () => {
    expected = await conversation(await connect());
  });

  const cuts: readonly (readonly [string, (bytes: Buffer) => Buffer[]])[] = [
    ['one byte at a time', (bytes) => [...bytes].map((byte) => Buffer.of(byte))],
    ['five bytes at a time', (bytes) => pieces(bytes, () => 5)],
    ['in pieces of any size', (bytes) => pieces(bytes, () => 1 + Math.floor(Math.random() * 60))],
  ];
  for (const [name, cut] of cuts) {
    test(name, async () => {
      const proxy = await new TricklingProxy(servers[0]!.port, cut).listen();
      try {
        const backend = await connect({ url: `mysql://127.0.0.1:${proxy.port}/shop` });
        assert.deepEqual(await conversation(backend), expected);
        backend.terminate();
      } finally {
        await proxy.close();
      }
    });
  }
});

function pieces(bytes: Buffer, size: () => number): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + size());
    found.push(bytes.subarray(at, end));
    at = end;
  }
  return found;
}

describe('a connection that ends', () => {
  test('is lost for whoever waits, wherever an answer is cut off', async () => {
    const proxy = await new TricklingProxy(servers[0]!.port, (bytes) => [bytes]).listen();
    try {
      // Behind a header, in a definition, in a row, before the last EOF.
      for (const bytes of [2, 20, 90, 150]) {
        proxy.breaksAfterBytes = Number.POSITIVE_INFINITY;
        const backend = await connect({ url: `mysql://127.0.0.1:${proxy.port}/shop` });
        const causes: Error[] = [];
        backend.onLost = (error) => causes.push(error);
        let closes = 0;
        backend.onClosed = () => closes++;
        proxy.breaksAfterBytes = bytes;
        const relayed = await forward(backend, request.query("SELECT REPEAT('x', 100) FROM seq_1_to_3"));
        assert.ok(relayed.broken instanceof OperatingError, `after ${bytes} bytes`);
        assert.equal(relayed.broken.code, 'shard-unavailable');
        assert.deepEqual([causes.length, closes, backend.isBroken], [1, 1, true]);
        await assert.rejects(backend.rows('SELECT 1'), /was lost/);
      }
    } finally {
      await proxy.close();
    }
  });

  test('because the server was told to end it says so', async () => {
    const [victim, killer] = [await connect(), await connect()];
    const sleeping = forward(victim, request.query('SELECT SLEEP(60)'));
    const isThere = `SELECT COUNT(*) FROM information_schema.processlist WHERE id = ${victim.processId} AND info LIKE '%SLEEP(60)%'`;
    while ((await killer.rows(isThere))[0]?.[0] !== '1');
    await killer.run(`KILL ${victim.processId}`);
    const { broken, error, payloads } = await sleeping;
    assert.ok(broken instanceof OperatingError);
    assert.equal(error, undefined);
    assert.ok(payloads.every((payload) => payload[0] !== 0xff));
    assert.equal(victim.isBroken, true);
  });

  test('while nobody waits tells whoever holds it', async () => {
    const [victim, killer] = [await connect(), await connect()];
    const lost = new Promise<Error>((resolve) => {
      victim.onLost = resolve;
    });
    await killer.run(`KILL ${victim.processId}`);
    assert.ok((await lost) instanceof OperatingError);
    assert.equal(victim.isBroken, true);
  });

  test('in the middle of what had to be said before is the end of the request', async () => {
    const [victim, killer] = [await connect(), await connect()];
    const statement = prepared('31', 'INSERT INTO filled VALUES (99, NULL)');
    const executing = forward(victim, request.execute(statement, '31'), { before: ['DO SLEEP(60)'] });
    const isThere = `SELECT COUNT(*) FROM information_schema.processlist WHERE id = ${victim.processId} AND info LIKE '%SLEEP(60)%'`;
    while ((await killer.rows(isThere))[0]?.[0] !== '1');
    await killer.run(`KILL ${victim.processId}`);
    assert.ok((await executing).broken !== undefined);
    assert.deepEqual(await killer.rows('SELECT COUNT(*) FROM filled WHERE id = 99'), [['0']]);
  });
});

describe('packets over 16 MB', () => {
  const long = Buffer.alloc(MAX_PAYLOAD_BYTES + 12_345, 'long ');

  test('go to the server as a text and come back as a row, relayed and read', async () => {
    const backend = await connect();
    const given = request.query(`INSERT INTO filled VALUES (1, '${long}')`);
    for (const before of [[], ["XA START 'long'"]]) {
      const inserted = await forward(backend, given, { before });
      assert.deepEqual(inserted.tags, ['OK 1 0 0']);
      if (before.length > 0) await backend.run("XA END 'long'; XA ROLLBACK 'long'");
      else await backend.run('DELETE FROM filled WHERE id = 1');
    }
    await forward(backend, given);
    const sql = 'SELECT v, 1 FROM filled WHERE id = 1';
    const { payloads } = await forward(backend, request.query(sql));
    const [value, one] = decodeTextRow(payloads[4]!, 2);
    assert.ok(value!.equals(long));
    assert.equal(one!.toString(), '1');
    assert.equal((await backend.rows(sql))[0]![0]!.length, long.length);
  });

  test('go as a parameter and come back in the binary protocol', async () => {
    const backend = await connect();
    const insert = prepared('41', 'REPLACE INTO filled VALUES (?, ?)');
    const exact = Buffer.alloc(2 * MAX_PAYLOAD_BYTES - 100, 'x');
    for (const bytes of [long, exact, Buffer.alloc(MAX_PAYLOAD_BYTES)]) {
      const done = await forward(
        backend,
        request.execute(insert, '41', int(2), { type: FIELD_TYPE.LONG_BLOB, bytes }),
      );
      assert.match(done.tags[0]!, /^OK [12] 0 0/);
      const select = prepared('42', 'SELECT v FROM filled WHERE id = 2');
      const { payloads } = await forward(backend, request.execute(select, '42'));
      const row = decodeBinaryRow(payloads[3]!, [decodeColumn(payloads[1]!).typeOid]);
      assert.ok(row[0]!.equals(bytes));
    }
  });

  test('longer than the server takes are the end of the connection or an error, never silence', async () => {
    const backend = await connect();
    const given = request.query(`SELECT LENGTH('${'x'.repeat(70 * MEGABYTE)}')`);
    const { broken, error } = await forward(backend, given);
    assert.ok(broken !== undefined || error?.errno === 1153);
  });
});

describe('a result of 100 MB', () => {
  const sql = "SELECT REPEAT('x', 100000) FROM seq_1_to_1100";

  test('waits for a slow reader in bounded memory', async () => {
    const backend = await connect();
    const memory = process.memoryUsage.rss();
    let [bytes, late, pauses, most] = [0, 0, 0, 0];
    let isWaiting = false;
    await new Promise<void>((resolve, reject) => {
      backend.forward(
        request.query(sql),
        {
          onBytes: (chunk) => {
            // What one read brought may still come.
            late = isWaiting ? late + chunk.length : 0;
            assert.ok(late < MEGABYTE, 'bytes go on coming while the reader is slow');
            bytes += chunk.length;
            pauses++;
            most = Math.max(most, process.memoryUsage.rss());
            isWaiting = true;
            setImmediate(() => {
              isWaiting = false;
              backend.resume();
            });
            return false;
          },
          onError: (error) => reject(new Error(error.message)),
          onCommandTag: () => {},
          onCopyIn: () => {},
          onParameter: () => {},
          onEnd: () => resolve(),
          onBroken: reject,
        },
        { rename: true },
      );
    });
    assert.ok(bytes > 100 * MEGABYTE);
    assert.ok(pauses > 10);
    assert.ok(most - memory < 80 * MEGABYTE, `memory grew by ${(most - memory) >> 20} MB`);
    assert.deepEqual(await backend.rows('SELECT 1'), [['1']]);
  });

  test('is read row by row, and no row comes while its reader is slow', async () => {
    const backend = await connect();
    let [rows, isWaiting] = [0, false];
    const status = await new Promise((resolve, reject) => {
      backend.query(
        { sql, parameters: values(), resultFormats: [1] },
        {
          onColumns: () => {},
          onRow: (fields) => {
            assert.equal(isWaiting, false);
            assert.equal(fields[0]!.length, 100_000);
            if (++rows % 100 !== 0) return true;
            isWaiting = true;
            setImmediate(() => {
              isWaiting = false;
              backend.resume();
            });
            return false;
          },
          onCommandTag: (tag) => assert.equal(tag, 'SELECT 1100'),
          onError: (error) => reject(new ServerFailure(error)),
          onEnd: resolve,
          onBroken: reject,
        },
      );
    });
    assert.deepEqual([rows, status], [1100, 'idle']);
  });
});
