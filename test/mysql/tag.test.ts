import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { errOf } from '../../src/mysql/error-codes.js';
import { decodeTag, encodeTag, rowsTag, sumTags, tagWithNumber } from '../../src/mysql/tag.js';

describe('a tag', () => {
  test('holds what an OK says', () => {
    for (const info of ['', 'Records: 3  Duplicates: 0  Warnings: 1', 'two\nlines']) {
      const ending = { affectedRows: 2n ** 64n - 1n, lastInsertId: 7n, warnings: 3, info };
      assert.deepEqual(decodeTag(encodeTag(ending)), ending);
    }
    assert.equal(decodeTag(rowsTag(7, { warnings: 2 })).warnings, 2);
    const ending = { affectedRows: 0n, lastInsertId: 5n, warnings: 0, info: '', forgets: true };
    assert.deepEqual(decodeTag(encodeTag(ending)), ending);
    assert.deepEqual(decodeTag(rowsTag(7, ending)), ending);
    assert.ok(decodeTag(sumTags(['SELECT 3 0!', 'SELECT 4'])).forgets);
    assert.equal(decodeTag(rowsTag(7, { warnings: 0 })).warnings, 0);
    assert.equal(decodeTag('BEGIN').affectedRows, 0n);
    assert.equal(decodeTag('OKAY 1 2 3').affectedRows, 0n);
  });

  test('of several shards is their sum, with the first id that one gave', () => {
    const tags = [
      'OK 2 0 1 Rows matched: 3  Changed: 2  Warnings: 0',
      undefined,
      'OK 5 9 2 Rows matched: 7  Changed: 5  Warnings: 1',
      'SELECT 3',
    ];
    assert.equal(sumTags(tags), 'OK 7 9 3 Rows matched: 10  Changed: 7  Warnings: 1');
    assert.equal(sumTags(['OK 1 0 65535 a', 'OK 1 0 1 b']), 'OK 2 0 65535');
    assert.equal(sumTags([]), 'OK 0 0 0');
  });

  test('of a split INSERT counts the rows that a shard got alone, of which it says nothing', () => {
    const insert = { sql: 'INSERT INTO t VALUES (1), (2), (3)', rows: [1, 2], last: 1 };
    assert.equal(
      sumTags(['OK 1 0 0', 'OK 2 0 0 Records: 2  Duplicates: 0  Warnings: 0'], insert),
      'OK 3 0 0 Records: 3  Duplicates: 0  Warnings: 0',
    );
    assert.equal(
      sumTags(['OK 1 0 0', 'OK 0 0 1'], { ...insert, rows: [1, 1] }),
      'OK 1 0 1 Records: 2  Duplicates: 1  Warnings: 1',
    );
    assert.equal(
      sumTags(['OK 1 0 0', 'OK 3 0 0'], { ...insert, rows: [1, 1] }),
      'OK 4 0 0 Records: 2  Duplicates: 2  Warnings: 0',
    );
    assert.equal(
      sumTags(['OK 1 7 0', 'OK 2 9 0', 'OK 1 8 0'], { ...insert, rows: [1, 1, 1], last: 2 }),
      'OK 4 8 0 Records: 3  Duplicates: 1  Warnings: 0',
    );
    const upsert = 'INSERT INTO t VALUES (1), (2) ON DUPLICATE KEY UPDATE a = 1';
    assert.equal(sumTags(['OK 1 0 0', 'OK 2 0 0'], { sql: upsert, rows: [1, 1], last: 0 }), 'OK 3 0 0');
    assert.equal(sumTags(['OK 1 0 0'], { ...insert, rows: [1] }), 'OK 1 0 0');
  });

  test('of rows that several shards gave is that of rows, also with numbers from us', () => {
    assert.equal(sumTags(['SELECT 2', 'SELECT 3 1']), 'SELECT 5 1');
    assert.equal(tagWithNumber('SELECT 2', 7n), 'SELECT 2 0 7');
    assert.deepEqual(decodeTag('SELECT 2 1 7'), {
      affectedRows: 0n,
      lastInsertId: 7n,
      warnings: 1,
      info: '',
    });
    assert.equal(tagWithNumber('OK 2 0 0', 7n), 'OK 2 7 0');
  });
});

test('errors of ours have numbers and states that clients of MySQL know', () => {
  const error = new OperatingError('unsupported', 'It is not possible', {
    hint: 'Do this.',
    detail: 'Facts',
  });
  assert.deepEqual(errOf(error), {
    errno: 1235,
    sqlstate: '42000',
    message: 'It is not possible. Facts. Do this.',
  });
  const lock = new OperatingError('transaction-failed', 'x', { sqlstate: '40001' });
  assert.deepEqual(errOf(lock), { errno: 1213, sqlstate: '40001', message: 'x' });
  assert.equal(errOf(new OperatingError('internal', 'y'.repeat(600))).message.length, 500);
});
