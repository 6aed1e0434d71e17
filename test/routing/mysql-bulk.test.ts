import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { insertWithNumberParameters } from '../../src/routing/mysql-insert-rows.js';
import { bulkOf, inOrder, withValues } from '../../src/routing/parameter-sets.js';
import type { ParameterValues } from '../../src/routing/plan.js';

describe('an INSERT with parameters for the numbers of its rows', () => {
  const cases: readonly (readonly [
    sql: string,
    position: number,
    count: number,
    text: string,
    at: number[],
  ])[] = [
    ['INSERT INTO t (a, b) VALUES (?, ?)', -1, 1, 'INSERT INTO t (a, b, `i?`) VALUES (?, ?, ?)', [2]],
    ['INSERT INTO t (a) VALUES (?), (?)', -1, 2, 'INSERT INTO t (a, `i?`) VALUES (?, ?), (?, ?)', [1, 3]],
    ['INSERT INTO t VALUES (NULL, ?)', 0, 1, 'INSERT INTO t VALUES (?, ?)', [0]],
    [
      "INSERT INTO t (a, i) VALUES ('?', DEFAULT) ON DUPLICATE KEY UPDATE a = ?",
      1,
      1,
      "INSERT INTO t (a, i) VALUES ('?', ?) ON DUPLICATE KEY UPDATE a = ?",
      [0],
    ],
    ['INSERT INTO t SET a = ? RETURNING ?', -1, 1, 'INSERT INTO t SET a = ?, `i?` = ? RETURNING ?', [1]],
    ['INSERT INTO t SET i = NULL, a = ?', 0, 1, 'INSERT INTO t SET i = ?, a = ?', [0]],
  ];
  for (const [sql, position, rows, text, parameters] of cases)
    test(sql, () => {
      const place = { table: 'shop.t', column: 'i?', rows, position };
      assert.deepEqual(insertWithNumberParameters(sql, place), { sql: text, parameters });
    });
});

function set(...texts: string[]): ParameterValues {
  return {
    count: texts.length,
    typeOid: (index) => 100 + index,
    format: () => 1,
    bytes: (index) => (texts[index] === 'IGNORE' ? undefined : Buffer.from(texts[index]!)),
    word: (index) => (texts[index] === 'IGNORE' ? 'IGNORE' : undefined),
  };
}

function shown(values: ParameterValues): (string | undefined)[] {
  return Array.from(
    { length: values.count },
    (_, index) => values.word?.(index) ?? `${values.bytes(index)} ${values.typeOid(index)}`,
  );
}

describe('sets of values', () => {
  test('keep their words, types and bytes in another order', () => {
    const bulk = inOrder(bulkOf([set('a', 'IGNORE', 'c'), set('d', 'e', 'f')]), [2, 1]);
    assert.deepEqual(bulk.sets!.map(shown), [
      ['c 102', 'IGNORE'],
      ['f 102', 'e 101'],
    ]);
    assert.deepEqual(shown(bulk), shown(bulk.sets![0]!));
  });

  test('take numbers in between', () => {
    assert.deepEqual(shown(withValues(set('a', 'IGNORE'), [0, 2], [7n, 8n])), [
      '7 0',
      'a 100',
      '8 0',
      'IGNORE',
    ]);
  });
});
