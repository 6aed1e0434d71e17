import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { flavorOf } from '../../src/mysql/flavor.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import { runMysql } from '../mariadb.js';

test('a genuine MySQL of today is known by its version', { skip: noGenuineMysql ?? false }, async () => {
  const [server] = await startGenuineMysql(after);
  const [row] = await runMysql(server!.url(), 'SELECT version() AS version');
  const flavor = flavorOf(String(row!['version']));
  assert.ok(!flavor.isMariadb && flavor.major >= 8, flavor.version);
});
