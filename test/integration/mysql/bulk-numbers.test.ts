import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { FIELD_TYPE } from '../../../src/mysql/capabilities.js';
import { lastFirst } from '../../cluster.js';
import { runMysql } from '../../mariadb.js';
import {
  type BulkOptions,
  type BulkValue,
  DEFAULT,
  IGNORE,
  prepareAndBulk,
} from '../../mysql/bulk-commands.js';
import { conversation } from '../../mysql/conversation.js';
import { BULK_CLIENT, contents, INSERT, range, said, startBoth } from './bulk-fixture.js';

const { direct, sharded, empty, same } = await startBoth(lastFirst(after));

/** Prepares, executes and is refused; nothing is left of it. */
async function refused(
  sql: string,
  sets: readonly (readonly BulkValue[])[],
  expected: RegExp,
  options: BulkOptions = {},
): Promise<void> {
  const before = await contents(sharded.url);
  const answers = await conversation(sharded.port, BULK_CLIENT, prepareAndBulk(sql, sets, options));
  assert.match(answers[1]![0]!, expected);
  assert.deepEqual(await contents(sharded.url), before);
}

describe('numbers and refusals of bulk executions over three shards', () => {
  test('numbers rows as one server does', async () => {
    await empty();
    const commands = [
      ...prepareAndBulk(
        'INSERT INTO numbered (owner, name) VALUES (?, ?)',
        range(40).map((n) => [n, `n${n}`]),
      ),
      ...said('SELECT LAST_INSERT_ID()'),
      ...prepareAndBulk(
        'INSERT INTO numbered (id, owner, name) VALUES (NULL, ?, ?)',
        range(20).map((n) => [n, `m${n}`]),
      ),
      ...said('SELECT LAST_INSERT_ID()'),
      ...prepareAndBulk(
        'INSERT INTO numbered (owner, name) VALUES (?, ?) ON DUPLICATE KEY UPDATE name = ?',
        range(20).map((n) => [n, `o${n}`, 'other']),
      ),
    ];
    for (const { port, url } of [direct, sharded]) {
      const answers = await conversation(port, BULK_CLIENT, commands);
      const rows = await runMysql(url, 'SELECT id, owner, name FROM numbered ORDER BY id');
      assert.equal(rows.length, 80);
      assert.deepEqual(
        rows.map((row) => row['name']),
        [
          ...range(40).map((n) => `n${n}`),
          ...range(20).map((n) => `m${n}`),
          ...range(20).map((n) => `o${n}`),
        ],
      );
      const ids = rows.map((row) => Number(row['id']));
      const asked = (answer: string[]) => Number(/(\d+)$/.exec(answer[3]!.slice(2))![1]);
      assert.deepEqual([asked(answers[2]!), asked(answers[5]!)], [ids[0], ids[40]]);
      // OK: affected rows, then the first number.
      assert.deepEqual(
        [...answers[1]![0]!.slice(2, 4)].map((c) => c.charCodeAt(0)),
        [0, 40],
      );
      assert.match(answers[1]![0]!, /Records: 40 {2}Duplicates: 0 {2}Warnings: 0$/);
    }
  });

  test('tells the number of its last row where its sets give them', async () => {
    await empty();
    const sql = 'INSERT INTO numbered (id, owner, name) VALUES (?, ?, ?)';
    await same(
      ...prepareAndBulk(
        sql,
        range(20).map((n) => [300 + n, n, 'up']),
      ),
      ...prepareAndBulk(
        sql,
        range(20).map((n) => [290 - n, n, 'down']),
      ),
      ...prepareAndBulk(sql, [
        [500, 3, 'a'],
        [400, 8, 'b'],
        [450, 1, 'c'],
      ]),
    );
  });

  test('passes over numbers that its sets give by hand', async () => {
    await empty();
    const given = 'INSERT INTO numbered (id, owner, name) VALUES (?, ?, ?)';
    const [row] = await runMysql(sharded.url, 'SELECT 1');
    assert.ok(row !== undefined, 'the proxy answers');
    await conversation(
      sharded.port,
      BULK_CLIENT,
      prepareAndBulk(
        given,
        range(20).map((n) => [5000 + n, n, 'hand']),
      ),
    );
    await runMysql(sharded.url, "INSERT INTO numbered (owner, name) VALUES (1, 'next')");
    const [next] = await runMysql(sharded.url, "SELECT id FROM numbered WHERE name = 'next'");
    assert.ok(Number(next!['id']) > 5019, `the next number is ${next!['id']}`);
  });

  test('is refused where it cannot be right, and says what to do', async () => {
    await empty();
    await runMysql(sharded.url, "INSERT INTO t (id, name) VALUES (1, 'a'), (2, 'b')");
    await refused('SELECT ? AS x', [[1], [2]], /bulk execution of SELECT. Execute it once for each set/);
    await refused('SET @x = ?', [[1], [2]], /bulk execution of SET. Execute it once for each set/);
    await refused(
      INSERT,
      [
        [10, 'a'],
        [DEFAULT, 'b'],
      ],
      /DEFAULT as a parameter.* Give the parameter a value/,
    );
    await refused(
      'DELETE FROM t WHERE id = ?',
      [[1], [IGNORE]],
      /IGNORE as a parameter.* Give the parameter a value/,
    );
    await refused(
      INSERT,
      [
        [10, 'a'],
        [null, 'b'],
      ],
      /NULL as its shard key/,
    );
    await refused(
      'INSERT INTO t (id, name) VALUES (?, ?), (?, ?), (?, ?), (?, ?)',
      [[1000, 'a', 1001, 'b', 1002, 'c', 1003, 'd']],
      /rows of several shards. Write one row in VALUES/,
    );
    await refused(
      'UPDATE t SET id = ? WHERE id = ?',
      [
        [50, 1],
        [51, 2],
      ],
      /shard key|"id"/,
    );
    const latin1 = { ...BULK_CLIENT, collationId: 8 };
    const words = prepareAndBulk('INSERT INTO words (word, n) VALUES (?, ?)', [
      ['plain', 1],
      ['\u00e4', 2],
    ]);
    const [, foreign] = await conversation(sharded.port, latin1, words);
    assert.match(foreign![0]!, /shard key that is not UTF-8/);
    await refused(
      'INSERT INTO numbered (id, owner, name) VALUES (?, ?, ?)',
      [[DEFAULT, 1, 'x']],
      /DEFAULT as a parameter/,
      { types: [FIELD_TYPE.LONG, FIELD_TYPE.LONG, FIELD_TYPE.VAR_STRING] },
    );
  });
});
