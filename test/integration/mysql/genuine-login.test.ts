import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { MYSQL_TESTS } from '../../engines.js';
import { noGenuineMysql } from '../../genuine-mysql.js';
import { startRingferry } from '../harness.js';

const skip = noGenuineMysql ?? false;
const atEnd = lastFirst(after);

describe('logging in to a genuine MySQL of today', { skip }, async () => {
  const [server] = skip === false ? await MYSQL_TESTS.start(atEnd, 1) : [];
  const sql = (...statements: string[]) => MYSQL_TESTS.run(server!.url(), ...statements);

  /** What a client of a pass-through is told whose servers are reached as this user. */
  async function reached(user: string, password: string, sslMode: string): Promise<unknown> {
    const url = new URL(server!.url('shop'));
    [url.username, url.password] = [user, password];
    url.searchParams.set('ssl-mode', sslMode);
    const ringferry = await startRingferry(atEnd, { engine: 'mysql', shards: { a: url.href } });
    try {
      const connection = await mysql.createConnection(ringferry.url());
      const [[row]] = await connection.query<RowDataPacket[]>(
        `SELECT CURRENT_USER() AS user, (SELECT variable_value <> '' FROM performance_schema.session_status
           WHERE variable_name = 'Ssl_cipher') AS encrypted`,
      );
      await connection.end();
      return row;
    } catch (error) {
      return String(error);
    } finally {
      await ringferry.stop();
    }
  }

  for (const sslMode of ['required', 'disabled'])
    test(`with caching_sha2_password, ssl-mode ${sslMode}: the whole way and, when the server remembers, the short one`, async () => {
      const user = `sha2_${sslMode}`;
      await sql(`CREATE USER ${user} IDENTIFIED BY 'sécret'`, `GRANT ALL ON *.* TO ${user}`);
      const expected = { user: `${user}@%`, encrypted: sslMode === 'required' ? 1 : 0 };
      assert.match(String(await reached(user, 'wrong', sslMode)), /refused the connection: Access denied/);
      assert.deepEqual(await reached(user, 'sécret', sslMode), expected);
      assert.deepEqual(await reached(user, 'sécret', sslMode), expected);
      assert.match(String(await reached(user, 'wrong', sslMode)), /refused the connection: Access denied/);
    });

  test('with a plugin that is not supported, which is named', async () => {
    await sql("CREATE USER of_old IDENTIFIED WITH sha256_password BY 'secret'");
    assert.match(
      String(await reached('of_old', 'secret', 'required')),
      /plugin sha256_password.*not supported/,
    );
  });
});
