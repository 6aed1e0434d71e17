import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { after, describe, test } from 'node:test';
import type { ResultSetHeader, RowDataPacket } from 'mysql2';
import mysql from 'mysql2/promise';
import { CAPABILITY } from '../../../src/mysql/capabilities.js';
import { encodeQuery } from '../../../src/mysql/commands.js';
import { lastFirst } from '../../cluster.js';
import { MARIADB_TESTS } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import { CAPABILITIES, handshakeResponse, RawClient } from '../../mysql/raw-client.js';
import { eventually } from '../eventually.js';
import { startRingferry } from '../harness.js';

const atEnd = lastFirst(after);
const [server, second] = await MARIADB_TESTS.start(atEnd, 2);
const direct = server!.url('shop');
await runMysql(
  direct,
  'CREATE TABLE loaded (id int PRIMARY KEY, v varchar(40))',
  'CREATE TABLE big (id int, v varchar(200))',
);
const start = (mode: string, config: Record<string, unknown>) =>
  startRingferry(atEnd, { engine: 'mysql', shards: { only: server! }, pool: { mode, size: 4 }, ...config });
const doors = {
  session: await start('session', { facts: { local_infile: true } }),
  transaction: await start('transaction', { facts: { local_infile: true } }),
};
const sharded = await startRingferry(atEnd, {
  engine: 'mysql',
  shards: { one: server!, two: second! },
  tables: { customers: { key: 'id' }, countries: { reference: true } },
  facts: { local_infile: true },
});
const closedDoor = await start('transaction', {});

const LOAD = "LOAD DATA LOCAL INFILE 'x.csv' INTO TABLE loaded FIELDS TERMINATED BY ','";

/** mysql2 sends what its stream gives, which must be bytes. */
function* bytesOf(pieces: Iterable<string>): Generator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}

const fileOf = (pieces: Iterable<string>): Readable => Readable.from(bytesOf(pieces));

/** Until so many statements at the first server wait for files. */
const untilLoads = (count: number): Promise<void> =>
  eventually(async () => {
    const statements = await runMysql(direct, 'SHOW PROCESSLIST');
    const loads = statements.filter(({ Info }) => String(Info).includes('LOCAL INFILE'));
    assert.equal(loads.filter(({ Command }) => count === 0 || Command === 'Query').length, count);
  });

/** What a client is told of a file that it sends, and what the server then has. */
async function load(url: string, sql: string, file: () => Readable): Promise<unknown> {
  const connection = await mysql.createConnection(url);
  try {
    await connection.query('DELETE FROM loaded');
    const answer = await connection.query({ sql, infileStreamFactory: file }).then(
      ([result]) => {
        const { affectedRows, info, warningStatus } = result as ResultSetHeader;
        return { affectedRows, info, warningStatus };
      },
      ({ errno, sqlState }) => ({ errno, sqlState }),
    );
    const [[counted]] = (await connection.query('SELECT ROW_COUNT() AS n')) as unknown as [{ n: number }[]];
    const [rows] = await connection.query('SELECT * FROM loaded ORDER BY id');
    return { answer, counted, rows };
  } finally {
    connection.destroy();
  }
}

const FILES: Record<string, () => Readable> = {
  'some rows': () => fileOf(['1,one\n2,two\n', '3,three\n']),
  'rows cut anywhere': () => fileOf('1,one\n2,two\n3,drei\n'.split('')),
  nothing: () => fileOf([]),
  'rows that cannot be stored as they are': () => fileOf(['1,one\nx,two\n1,again\n4\n']),
};

describe('LOAD DATA LOCAL INFILE on one shard', () => {
  for (const [mode, { url }] of Object.entries(doors)) {
    for (const [name, file] of Object.entries(FILES))
      test(`${name}: as on a direct connection (${mode})`, async () =>
        assert.deepEqual(await load(url(), LOAD, file), await load(direct, LOAD, file)));

    test(`an error before any row, and the session goes on (${mode})`, async () => {
      const sql = LOAD.replace('loaded', 'nowhere');
      assert.deepEqual(
        await load(url(), sql, FILES['some rows']!),
        await load(direct, sql, FILES['some rows']!),
      );
    });

    test(`a large file is taken as the server takes it, among other statements (${mode})`, async () => {
      const connection = await mysql.createConnection({ uri: url(), multipleStatements: true });
      const rows = 200_000;
      const pieces = function* () {
        for (let id = 0; id < rows; id += 1000)
          yield Array.from({ length: 1000 }, (_, n) => `${id + n}\t${'v'.repeat(150)}\n`).join('');
      };
      const sql = `DELETE FROM big; LOAD DATA LOCAL INFILE 'x' INTO TABLE big; SELECT count(*) AS n, sum(id) AS s FROM big`;
      const [results] = await connection.query({ sql, infileStreamFactory: () => fileOf(pieces()) });
      const [, loaded, [counted]] = results as unknown as [unknown, ResultSetHeader, [unknown]];
      assert.equal(loaded.affectedRows, rows);
      assert.deepEqual(counted, { n: rows, s: String((rows * (rows - 1)) / 2) });
      connection.destroy();
    });

    test(`a compressed connection (${mode})`, async () => {
      const connection = await mysql.createConnection({ uri: url(), compress: true } as never);
      await connection.query('DELETE FROM loaded');
      for (let round = 0; round < 3; round++) {
        const file = () => fileOf([`${round},round\n`]);
        const [result] = await connection.query({ sql: LOAD, infileStreamFactory: file });
        assert.equal((result as ResultSetHeader).affectedRows, 1);
      }
      connection.destroy();
    });

    test(`a client that goes away in the middle leaves nothing behind (${mode})`, async () => {
      const connection = await mysql.createConnection(url());
      await connection.query('DELETE FROM loaded');
      const stream = new PassThrough();
      void connection.query({ sql: LOAD, infileStreamFactory: () => stream }).catch(() => undefined);
      stream.write(`7,lost\n${'8,lost too\n'.repeat(10_000)}`);
      await untilLoads(1);
      connection.destroy();
      await untilLoads(0);
      assert.deepEqual(await runMysql(direct, 'SELECT * FROM loaded'), []);
      // The pool is as good as before.
      assert.deepEqual(
        await load(url(), LOAD, FILES['some rows']!),
        await load(direct, LOAD, FILES['some rows']!),
      );
    });

    test(`a statement that is killed in the middle is answered when the file has ended (${mode})`, async () => {
      const connection = await mysql.createConnection(url());
      const stream = new PassThrough();
      const work = connection.query({ sql: LOAD, infileStreamFactory: () => stream }).catch((error) => error);
      stream.write('7,killed\n');
      await untilLoads(1);
      const other = await mysql.createConnection(url());
      const observer = await mysql.createConnection(direct);
      await observer.query('SELECT 1');
      await other.query(`KILL QUERY ${connection.threadId}`);
      // When KILL is answered the server has heard it.
      const [statements] = await observer.query<RowDataPacket[]>('SHOW PROCESSLIST');
      const loading = statements.filter(({ Info }) => String(Info).startsWith('LOAD DATA LOCAL'));
      assert.deepEqual(
        loading.map(({ Command }) => Command),
        ['Killed'],
      );
      stream.write('8,killed\n');
      stream.end('9,killed\n'.repeat(10_000));
      const { errno } = await work;
      assert.equal(errno, 1317);
      const [[row]] = (await connection.query('SELECT 1 AS n')) as unknown as [unknown[]];
      assert.deepEqual(row, { n: 1 });
      for (const each of [connection, other, observer]) each.destroy();
    });

    test(`a client that has not said that it sends files is told so by the server (${mode})`, async () => {
      const refused = async (uri: string) => {
        const connection = await mysql.createConnection({ uri, flags: ['-LOCAL_FILES'] });
        const error = await connection.query(LOAD).then(
          () => undefined,
          ({ errno, sqlState, message }) => ({ errno, sqlState, message }),
        );
        connection.destroy();
        return error;
      };
      const told = await refused(direct);
      assert.equal(told?.errno, 4166);
      assert.deepEqual(await refused(url()), told);
    });
  }

  test('a command behind it that comes before the file is asked for ends the connection', async () => {
    const client = await RawClient.connect(doors.transaction.ports.mysql!);
    const capabilities = CAPABILITIES | CAPABILITY.LOCAL_FILES;
    client.command(handshakeResponse(await client.greeting(), '', { user: 'root', capabilities }), 1);
    await client.came(2);
    client.send(Buffer.concat([encodeQuery(LOAD), encodeQuery('SELECT 1')]));
    await client.closed();
    assert.match(client.payloads.at(-1)!.toString('latin1'), /out of order/);
  });

  test('where it is not allowed nothing is offered, and the server refuses', async () => {
    const client = await RawClient.connect(closedDoor.ports.mysql!);
    const { capabilities } = await client.greeting();
    assert.equal(capabilities & CAPABILITY.LOCAL_FILES, 0);
    client.socket.destroy();
    const connection = await mysql.createConnection(closedDoor.url());
    const { errno } = await connection.query(LOAD).catch((error) => error);
    assert.equal(errno, 4166);
    connection.destroy();
  });
});

describe('LOAD DATA LOCAL INFILE over shards', () => {
  for (const [name, file] of Object.entries(FILES))
    test(`${name}, into a table of the home shard: as on a direct connection`, async () =>
      assert.deepEqual(await load(sharded.url(), LOAD, file), await load(direct, LOAD, file)));

  test('in a transaction it is rolled back with the rest', async () => {
    const connection = await mysql.createConnection(sharded.url());
    await connection.query('DELETE FROM loaded');
    await connection.beginTransaction();
    await connection.query({ sql: LOAD, infileStreamFactory: FILES['some rows']! });
    const [rows] = await connection.query('SELECT id FROM loaded ORDER BY id');
    assert.deepEqual(rows, [{ id: 1 }, { id: 2 }, { id: 3 }]);
    await connection.rollback();
    assert.deepEqual((await connection.query('SELECT id FROM loaded'))[0], []);
    connection.destroy();
  });

  test('a client that goes away in the middle leaves no rows in a table of the home shard', async () => {
    const connection = await mysql.createConnection(sharded.url());
    await connection.query('DELETE FROM loaded');
    const stream = new PassThrough();
    void connection.query({ sql: LOAD, infileStreamFactory: () => stream }).catch(() => undefined);
    stream.write('7,lost\n');
    await untilLoads(1);
    connection.destroy();
    await untilLoads(0);
    assert.deepEqual(await runMysql(direct, 'SELECT * FROM loaded'), []);
  });

  for (const table of ['customers', 'countries'])
    test(`LOAD DATA of a file of the server into ${table} is refused, and the session goes on`, async () => {
      const connection = await mysql.createConnection(sharded.url());
      const sql = `LOAD DATA INFILE 'x' INTO TABLE ${table}`;
      const { message } = await connection.query(sql).catch((error) => error);
      assert.match(message, /LOAD DATA.* table "c.*LOCAL/);
      assert.deepEqual((await connection.query('SELECT 1 AS n'))[0], [{ n: 1 }]);
      connection.destroy();
    });
});
