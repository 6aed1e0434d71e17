import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { flavorOf } from '../../src/mysql/flavor.js';
import { MYSQL_TESTS } from '../engines.js';
import { noGenuineMysql } from '../genuine-mysql.js';

const skip = noGenuineMysql ?? false;

test('a genuine MySQL of today is known by its version, and what tests ask of it', { skip }, async () => {
  const [server] = await MYSQL_TESTS.start(after, 1);
  const url = server!.url(MYSQL_TESTS.database);
  const [row] = await MYSQL_TESTS.run(url, 'SELECT version() AS version');
  const flavor = flavorOf(String(row!['version']));
  assert.ok(!flavor.isMariadb && flavor.major >= 8, flavor.version);
  await MYSQL_TESTS.run(url, 'CREATE TABLE t (id int PRIMARY KEY)');
  assert.ok(await MYSQL_TESTS.hasTable(url, 't'));
  await MYSQL_TESTS.leavePrepared(url, 'left', 'INSERT INTO t VALUES (1)');
  assert.deepEqual(await MYSQL_TESTS.prepared(url), ['left']);
  assert.deepEqual(await MYSQL_TESTS.traces(url), ['prepared transaction left']);
  await MYSQL_TESTS.rollbackPrepared(url, 'left');
  assert.deepEqual(await MYSQL_TESTS.traces(url), []);
  await MYSQL_TESTS.demo.makeTables({ port: server!.port, url: () => url, stop: async () => undefined });
});
