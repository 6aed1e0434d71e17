import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import mysql, { type ResultSetHeader } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { MARIADB_TESTS } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import { startTwoWorkers } from '../two-workers.js';

const atEnd = lastFirst(after);
const { servers, url, onEach } = await startTwoWorkers(atEnd, MARIADB_TESTS, {
  tables: { numbered: { key: 'owner' } },
});
for (const server of servers)
  await runMysql(
    server.url(MARIADB_TESTS.database),
    'CREATE TABLE numbered (id bigint AUTO_INCREMENT, owner int, PRIMARY KEY (owner, id), KEY (id))',
  );

test('a number given by hand at one worker is given to no row at the other', async () => {
  const [one, other] = await onEach(() => mysql.createConnection(url));
  for (const each of [one, other]) atEnd(() => each.end());
  const add = async (at: mysql.Connection) =>
    (await at.query<ResultSetHeader>('INSERT INTO numbered (owner) VALUES (1)'))[0].insertId;
  assert.ok((await add(one)) < (await add(other)), 'each has a block');
  const given = 250;
  await one.query('INSERT INTO numbered (id, owner) VALUES (?, 2)', [given]);
  const numbers: number[] = [];
  for (let row = 0; row < 220; row++) numbers.push(await add(other));
  assert.ok(!numbers.includes(given), `${given} is given again`);
  assert.ok(numbers.at(-1)! > given, 'the other worker has leased anew');
  assert.ok((await add(one)) > given, 'greater at the worker that has seen it');
});
