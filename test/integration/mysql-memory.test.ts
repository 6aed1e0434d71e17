import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../cluster.js';
import { oneValue, startSessionWays } from './mysql-session-ways.js';

for (const { name, connect, clean } of await startSessionWays(lastFirst(after))) {
  describe(`what a session knows of its last statement, ${name}`, () => {
    afterEach(clean);

    test('LAST_INSERT_ID is of the session’s own last INSERT, whatever others do between', async () => {
      const clients = await Promise.all(Array.from({ length: 8 }, () => connect()));
      await Promise.all(
        clients.map(async (client, nth) => {
          assert.equal(Number(await oneValue(client, 'SELECT last_insert_id()')), 0);
          for (let round = 0; round < 10; round++) {
            const [{ insertId }] = await client.query<ResultSetHeader>(
              `INSERT INTO log (what) VALUES ('${nth}'), ('${nth}')`,
            );
            await oneValue(client, 'SELECT 1');
            assert.equal(Number(await oneValue(client, 'SELECT LAST_INSERT_ID()')), insertId);
            assert.equal(Number(await oneValue(client, 'SELECT @@last_insert_id')), insertId);
            const [row] = await client.query<RowDataPacket[]>(
              'SELECT what FROM log WHERE id = last_insert_id()',
            );
            assert.deepEqual(row, [{ what: String(nth) }]);
          }
        }),
      );
    });

    test('LAST_INSERT_ID is the same on every shard that a statement goes to', async () => {
      const [client, other] = [await connect(), await connect()];
      await client.query("REPLACE INTO people VALUES (51, 'a', NULL), (52, 'b', NULL), (53, 'c', NULL)");
      const [{ insertId }] = await client.query<ResultSetHeader>("INSERT INTO log (what) VALUES ('mine')");
      await other.query("INSERT INTO log (what) VALUES ('another')");
      const condition = `id IN (51, 52, 53) AND last_insert_id() = ${insertId}`;
      const [found] = await client.query(`SELECT id FROM people WHERE ${condition} ORDER BY id`);
      assert.deepEqual(found, [{ id: 51 }, { id: 52 }, { id: 53 }]);
      const [changed] = await client.query<ResultSetHeader>(`DELETE FROM people WHERE ${condition}`);
      assert.equal(changed.affectedRows, 3);
    });

    test('LAST_INSERT_ID is no number that the client gave itself', async () => {
      const [client, other] = [await connect(), await connect()];
      const own = async () => Number(await oneValue(client, 'SELECT LAST_INSERT_ID()'));
      const [{ insertId }] = await client.query<ResultSetHeader>("INSERT INTO log (what) VALUES ('mine')");
      const values = [700_030, 'bound'];
      for (const statement of [
        () => client.query("INSERT INTO log VALUES (700010, 'given')"),
        () => client.query("INSERT INTO log VALUES ('700020', 'as text')"),
        () => client.execute('INSERT INTO log VALUES (?, ?)', values),
        () => client.execute('INSERT INTO log VALUES (?, ?)', ['700040', 'bound as text']),
        () => client.query("INSERT INTO log VALUES (700000 + 50, 'reckoned')"),
        () => client.query("INSERT INTO log VALUES (700060, 'several'), (700070, 'several')"),
        () => client.query("REPLACE INTO log VALUES (700070, 'replaced')"),
        () => client.query("INSERT INTO log SELECT 700080, 'selected'"),
        () => client.query("INSERT INTO log VALUES (700090, 'told') RETURNING id"),
      ]) {
        await other.query("INSERT INTO log (what) VALUES ('another')");
        await statement();
        assert.equal(await own(), insertId, String(statement));
      }
      const [[generated]] = await client.query<RowDataPacket[]>(
        "INSERT INTO log (what) VALUES ('told') RETURNING id",
      );
      assert.equal(await own(), generated!['id']);
    });

    test('LAST_INSERT_ID behind an upsert is not that of another client of its connection', async () => {
      const clients = await Promise.all(Array.from({ length: 6 }, () => connect()));
      const [client, ...others] = clients as [mysql.Connection, ...mysql.Connection[]];
      for (const other of others) {
        const [{ insertId }] = await other.query<ResultSetHeader>(
          "INSERT INTO log (what) VALUES ('another')",
        );
        await client.query(`REPLACE INTO log VALUES (${insertId}, 'replaced')`);
        assert.equal(Number(await oneValue(client, 'SELECT LAST_INSERT_ID()')), 0);
      }
    });

    test('a number that the client gives to a row of a sharded table is no LAST_INSERT_ID', async () => {
      const client = await connect();
      await client.query("INSERT INTO counted VALUES (71, 'a'), (72, 'b'), (73, 'c')");
      assert.equal(Number(await oneValue(client, 'SELECT LAST_INSERT_ID()')), 0);
      await client.query("INSERT INTO counted VALUES (74, 'd')");
      assert.equal(Number(await oneValue(client, 'SELECT LAST_INSERT_ID()')), 0);
      const [{ insertId }] = await client.query<ResultSetHeader>(
        "INSERT INTO counted (name) VALUES ('e'), ('f'), ('g')",
      );
      assert.equal(Number(await oneValue(client, 'SELECT LAST_INSERT_ID()')), insertId);
    });

    test('LAST_INSERT_ID(value) is told later, or refused', async () => {
      const [client, other] = [await connect(), await connect()];
      for (const [sql, id] of [
        ['SELECT LAST_INSERT_ID(7)', 7],
        ['DO LAST_INSERT_ID(8)', 8],
        ['UPDATE people SET name = LAST_INSERT_ID(9) WHERE id = 1', 9],
      ] as const) {
        await client.query("REPLACE INTO people VALUES (1, 'a', NULL), (2, 'b', NULL), (3, 'c', NULL)");
        await client.query(sql);
        await other.query("INSERT INTO log (what) VALUES ('another')");
        assert.equal(Number(await oneValue(client, 'SELECT LAST_INSERT_ID()')), id, sql);
      }
      await client.query('SELECT LAST_INSERT_ID(id) FROM people ORDER BY id').then(
        async () => assert.equal(Number(await oneValue(client, 'SELECT LAST_INSERT_ID()')), 3),
        (error: { errno?: number }) => assert.equal(error.errno, 1235),
      );
    });

    test('ROW_COUNT and FOUND_ROWS are right or refused, also beside LAST_INSERT_ID', async () => {
      const [client, other] = [await connect(), await connect()];
      await client.query("INSERT INTO people VALUES (1, 'a', NULL), (2, 'b', NULL), (3, 'c', NULL)");
      for (const [sql, right] of [
        ['SELECT row_count()', 3],
        ['SELECT last_insert_id(), row_count()', 3],
        ['SELECT sql_calc_found_rows id FROM people LIMIT 1', 1],
        ['SELECT found_rows()', 3],
      ] as const) {
        if (sql.includes('row_count')) await client.query("UPDATE people SET name = concat(name, '.')");
        await oneValue(other, 'SELECT 1 UNION SELECT 2');
        try {
          const [[row]] = await client.query<RowDataPacket[][]>({ sql, rowsAsArray: true });
          assert.equal(Number(row!.at(-1)), right, sql);
        } catch (error) {
          assert.equal((error as { errno?: number }).errno, 1235, `${sql}: ${error}`);
        }
      }
    });

    test('a question that is refused does not take its shard out of the transaction', async () => {
      const client = await connect();
      await client.query("REPLACE INTO log (id, what) VALUES (7001, 'before')");
      await client.query('BEGIN');
      await client.query('SELECT id FROM log WHERE ROW_COUNT() = 77').catch((error: { errno?: number }) => {
        assert.equal(error.errno, 1235);
      });
      await client.query("UPDATE log SET what = 'inside' WHERE id = 7001");
      await client.query('ROLLBACK');
      assert.equal(await oneValue(client, 'SELECT what FROM log WHERE id = 7001'), 'before');
    });

    test('SHOW WARNINGS tells of the session’s own last statement', async () => {
      const clients = await Promise.all(Array.from({ length: 6 }, () => connect()));
      await Promise.all(
        clients.map(async (client, nth) => {
          for (let round = 0; round < 6; round++) {
            const [{ warningStatus }] = await client.query<ResultSetHeader>(
              `DROP TABLE IF EXISTS gone_${nth}`,
            );
            assert.equal(warningStatus, 1);
            const [warnings] = await client.query<RowDataPacket[]>('SHOW WARNINGS');
            assert.equal(warnings.length, 1);
            assert.match(String(warnings[0]!['Message']), new RegExp(`gone_${nth}\\b`));
            await oneValue(client, 'SELECT 1');
            assert.equal(Number(await oneValue(client, 'SELECT @@warning_count')), 1, 'it uses no table');
            await client.query('COMMIT');
            assert.deepEqual((await client.query('SHOW WARNINGS'))[0], warnings);
            await oneValue(client, 'SELECT count(*) FROM log');
            const [none] = await client.query<RowDataPacket[]>('SHOW WARNINGS');
            assert.deepEqual(none, []);
          }
        }),
      );
    });

    test('SHOW WARNINGS tells of an error, whoever found it', async () => {
      const client = await connect();
      await client.query('DROP TABLE IF EXISTS gone');
      await assert.rejects(client.query('SELEC 1'), { errno: 1064 });
      const [errors] = await client.query<RowDataPacket[]>('SHOW WARNINGS');
      assert.deepEqual(
        errors.map(({ Level, Code }) => [Level, Code]),
        [['Error', 1064]],
      );
    });

    test('ROW_COUNT is -1 behind every statement with rows', async () => {
      const client = await connect();
      await client.query("REPLACE INTO people VALUES (61, 'a', NULL), (62, 'b', NULL), (63, 'c', NULL)");
      const [rows] = await client.query<RowDataPacket[]>(
        'DELETE FROM people WHERE id IN (61, 62, 63) RETURNING id',
      );
      assert.equal(rows.length, 3);
      assert.equal(Number(await oneValue(client, 'SELECT ROW_COUNT()')), -1);
    });
  });
}
