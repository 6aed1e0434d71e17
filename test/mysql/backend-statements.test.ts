import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FIELD_TYPE } from '../../src/mysql/capabilities.js';
import { decodeBinaryRow, decodeColumn, decodePrepareOk } from '../../src/mysql/result-messages.js';
import type { Backend, BackendQuery } from '../../src/pool/backend.js';
import { ServerFailure } from '../../src/pool/backend.js';
import { runMysql } from '../mariadb.js';
import { connect, endAll, servers, startServer } from './backend-connections.js';
import { forward, int, NULL, prepared, request, text, values } from './backend-requests.js';

before(() => startServer());
after(endAll);

/** Rows of our own statement as text, behind its column names, then the tag or the error. */
function query(backend: Backend, given: BackendQuery, before: readonly string[] = []): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const heard: unknown[] = [];
    backend.query(
      given,
      {
        onColumns: (columns) => heard.push(columns.map(({ name }) => name)),
        onRow: (fields) => heard.push(fields.map((field) => field?.toString('latin1') ?? null)) > 0,
        onCommandTag: (tag) => heard.push(tag),
        onError: (error) => heard.push(error.errno),
        onEnd: () => resolve(heard),
        onBroken: reject,
      },
      before,
    );
  });
}

describe('prepared statements', () => {
  test('are told with the client’s own id and all their definitions', async () => {
    const backend = await connect();
    const statement = prepared('77', 'SELECT 1 AS a, ? AS b');
    const { payloads, tags } = await forward(backend, request.prepare(statement));
    assert.deepEqual(decodePrepareOk(payloads[0]!), {
      statementId: 77,
      columns: 2,
      parameters: 1,
      warnings: 0,
    });
    assert.deepEqual(tags, []);
    assert.deepEqual([payloads.length, decodeColumn(payloads[3]!).name], [6, 'a']);
  });

  test('work on a backend that has never heard of them, with their types', async () => {
    const statement = prepared('1', 'SELECT ? + 1 AS a, ? AS b, ? AS c');
    await forward(await connect(), request.prepare(statement));
    const other = await connect();
    for (const before of [[], ['BEGIN']]) {
      const { payloads, tags } = await forward(
        other,
        request.execute(statement, '1', int(41), text('ö'), NULL),
        {
          before,
        },
      );
      const types = payloads.slice(1, 4).map((payload) => decodeColumn(payload).typeOid);
      const row = decodeBinaryRow(payloads[5]!, types);
      assert.deepEqual([row[0]!.readInt32LE(), row[1]!.toString(), row[2]], [42, 'ö', undefined]);
      assert.deepEqual(tags, ['SELECT 1']);
    }
    assert.equal(other.parsesTotal, 1);
    assert.equal(other.transaction, 'open');
  });

  test('that are equal are made once, and the longest unused are closed', async () => {
    const backend = await connect({ preparedStatements: 2 });
    const statements = ['SELECT 11', 'SELECT 12', 'SELECT 13'].map((sql, index) => prepared(`${index}`, sql));
    const run = async (index: number) => {
      const { tags } = await forward(backend, request.execute(statements[index]!, `${index}`));
      assert.deepEqual(tags, ['SELECT 1']);
    };
    for (const index of [0, 1, 0, 2, 0]) await run(index);
    assert.equal(backend.parsesTotal, 3);
    await run(1);
    assert.equal(backend.parsesTotal, 4);
    await backend.rows('SELECT 1');
    const status = await backend.rows("SHOW SESSION STATUS LIKE 'Com_stmt_close'");
    assert.equal(Number(status[0]![1]), 2);
    assert.equal(backend.preparedStatements, 2);
  });

  test('mean what they mean under the settings of their session', async () => {
    const backend = await connect();
    const statement = prepared('5', 'SELECT "a" AS v FROM (SELECT 7 AS a) t');
    const value = async (before: string[], settings: string) => {
      backend.settings = settings;
      const { payloads, error } = await forward(backend, request.execute(statement, '5'), { before });
      assert.equal(error, undefined);
      return decodeBinaryRow(payloads[3]!, [decodeColumn(payloads[1]!).typeOid])[0]!;
    };
    assert.equal((await value(["SET sql_mode = ''"], 'plain')).toString(), 'a');
    assert.equal((await value(["SET sql_mode = 'ANSI_QUOTES'"], 'ansi')).readInt32LE(), 7);
    assert.equal((await value(["SET sql_mode = ''"], 'plain')).toString(), 'a');
    assert.equal(backend.parsesTotal, 2);
  });

  test('are not made under settings that could not be set', async () => {
    const backend = await connect();
    await backend.run("SET sql_mode = ''");
    const statement = prepared('51', 'SELECT "a" AS v FROM (SELECT 7 AS a) t');
    backend.settings = 'ansi';
    const before = ["SET sql_mode = 'ANSI_QUOTES', nonsense = 1"];
    const failed = await forward(backend, request.execute(statement, '51'), { before });
    assert.equal(failed.error?.errno, 1193);
    const set = await forward(backend, request.execute(statement, '51'), {
      before: ["SET sql_mode = 'ANSI_QUOTES'"],
    });
    assert.equal(decodeBinaryRow(set.payloads[3]!, [FIELD_TYPE.LONG])[0]!.readInt32LE(), 7);
  });

  test('whose text is wrong answer with the error and are made anew later', async () => {
    const backend = await connect();
    const statement = prepared('6', 'SELECT * FROM made_later');
    const failed = await forward(backend, request.execute(statement, '6'));
    assert.deepEqual([failed.error?.errno, failed.status], [1146, 'idle']);
    await backend.run('CREATE TABLE made_later (id int)');
    assert.deepEqual((await forward(backend, request.execute(statement, '6'))).tags, ['SELECT 0']);
  });

  test('follow a table that changes', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE changing AS SELECT 1 AS a');
    const statement = prepared('8', 'SELECT * FROM changing');
    assert.equal((await forward(backend, request.execute(statement, '8'))).payloads.length, 5);
    await backend.run('ALTER TABLE changing ADD b int');
    assert.equal((await forward(backend, request.execute(statement, '8'))).payloads.length, 6);
  });

  test('of a session of its own live until the session closes them', async () => {
    const backend = await connect({ preparedStatements: 1 });
    const own = { rename: false };
    for (const id of ['1', '2', '3'])
      await forward(backend, request.prepare(prepared(id, `SELECT ${id}`)), own);
    assert.equal(backend.preparedStatements, 3);
    const two = await forward(backend, request.execute(undefined, '2'), own);
    assert.deepEqual(two.tags, ['SELECT 1']);
    const closed = await forward(backend, request.close('2'), own);
    assert.deepEqual([closed.payloads, closed.status], [[], 'idle']);
    const gone = await forward(backend, request.execute(undefined, '2'), own);
    assert.deepEqual([gone.error?.errno, gone.payloads.length], [1243, 1]);
    const status = await backend.rows("SHOW SESSION STATUS LIKE 'Com_stmt_close'");
    assert.equal(status[0]![1], '1');
  });

  test('that the process shares stay when one client closes its own', async () => {
    const backend = await connect();
    const statement = prepared('4', 'SELECT 4');
    await forward(backend, request.execute(statement, '4'));
    const closed = await forward(backend, request.close('4'));
    assert.deepEqual([closed.payloads, closed.tags], [[], []]);
    assert.equal(backend.preparedStatements, 1);
  });

  test('can be described', async () => {
    const backend = await connect();
    const described = await backend.describe(prepared('2', 'SELECT ? AS a, 1 AS b'));
    assert.equal(described.parameterTypes.length, 1);
    assert.deepEqual(
      described.columns?.map(({ name }) => name),
      ['a', 'b'],
    );
    const nothing = await backend.describe(prepared('3', 'DO 1'));
    assert.deepEqual(nothing, { parameterTypes: [], columns: undefined });
    await assert.rejects(backend.describe(prepared('4', 'SELEC')), ServerFailure);
  });
});

describe('our own statements', () => {
  test('take parameters and give rows as they are asked for', async () => {
    const backend = await connect();
    const given = { sql: 'SELECT CAST(? AS INT) AS a, ? AS b', parameters: values(int(5), text('x')) };
    assert.deepEqual(await query(backend, given), [['a', 'b'], ['5', 'x'], 'SELECT 1']);
    const binary = await query(backend, { ...given, resultFormats: [1] }, ['BEGIN']);
    assert.deepEqual(binary.slice(1), [
      ['\x05\0\0\0\0\0\0\0'.slice(0, (binary[1] as string[])[0]!.length), 'x'],
      'SELECT 1',
    ]);
    assert.equal(backend.transaction, 'open');
    assert.equal(backend.parsesTotal, 1);
    assert.deepEqual(await query(backend, { sql: 'SELECT nonsense', parameters: values() }), [1054]);
    assert.deepEqual(await query(backend, { sql: 'SELECT 1 AS a' }, ['SELECT 5', 'SET @a = 1']), [
      ['a'],
      ['1'],
      'SELECT 1',
    ]);
  });

  test('give the same text by both protocols, for every type', async () => {
    const backend = await connect();
    await backend.run(
      "CREATE TABLE every_type (d double, f float, g double(10,3), h float(7,2), dt datetime(3), d2 datetime, t time(6), y year, da date, z int(6) zerofill, bi bigint unsigned, s smallint, ti tinyint, b bit(9), de decimal(10,3), e enum('a'), j json, u uuid, bl blob)",
    );
    const numbers =
      '1e15 1e14 123456789012345 1234567890123456 12345678901234567 1e17 1.5e300 1e-4 1.5e-10 1e-14 1e-15 1e-16 1.2345e-14 -0.0 100 123456.789 3.141592653589793 2.2250738585072014e-308 -1e15 -123.5 0.30000000000000004 99999.9 1234567 1.5e7 16777216 0.000012345'.split(
        ' ',
      );
    for (const number of numbers) {
      const small = Math.abs(Number(number)) > 1e30 || Math.abs(Number(number)) < 1e-30 ? '0' : number;
      await backend.run(`INSERT INTO every_type (d, f) VALUES (${number}, ${small})`);
    }
    await backend.run("SET sql_mode = ''");
    await backend.run(
      "INSERT INTO every_type VALUES (1,1,1,1.005,'2024-02-03 04:05:06.789','0000-00-00','-838:59:59.000001',1999,'2024-01-02',42,18446744073709551615,-300,-5,b'101',1.5,'a','{}',UUID(),x'00ff'), (-1,-1,-1.5,1,'2024-02-03','2024-02-03','00:00:00',0,'0000-00-00',42,0,0,-5,b'101',1.5,'a','{}',NULL,NULL), (1,1,99999.999,1,'2024-02-03 01:00','2024-02-03 00:00:01','100:00:00.5',2155,'9999-12-31',1234567,0,7,-5,b'101',-1.5,'a','{}',NULL,'')",
    );
    const sql = 'SELECT * FROM every_type';
    const [asText, fromBinary] = [
      await query(backend, { sql }),
      await query(backend, { sql, parameters: values() }),
    ];
    assert.equal(asText.length, numbers.length + 5);
    assert.deepEqual(fromBinary, asText);
  });

  test('mysql2 finds what was written', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE written (id int PRIMARY KEY, v varchar(20))');
    await query(backend, { sql: 'INSERT INTO written VALUES (?, ?)', parameters: values(int(1), text('ß')) });
    assert.deepEqual(await runMysql(servers[0]!.url('shop'), 'SELECT * FROM written'), [{ id: 1, v: 'ß' }]);
  });
});
