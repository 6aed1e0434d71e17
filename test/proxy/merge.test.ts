import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OperatingError } from '../../src/lib/errors.js';
import type { ResultColumn } from '../../src/pool/backend.js';
import { postgresValues } from '../../src/postgres/values.js';
import { type MergerOptions, RowMerger } from '../../src/proxy/merge.js';
import type { Merge, MergeColumn, MergeOrder } from '../../src/routing/plan.js';

const ROWS: Merge = {
  output: [{ type: 'rest', from: 0 }],
  groupBy: undefined,
  distinct: false,
  orderBy: [],
  limit: undefined,
  offset: undefined,
};

function order(column: number, more: Partial<MergeOrder> = {}): MergeOrder {
  return { column, descending: false, nullsFirst: false, byteOrder: false, ...more };
}

function columns(...typeOids: number[]): ResultColumn[] {
  return typeOids.map((typeOid, index) => ({
    name: `c${index}`,
    typeOid,
    tableOid: 0,
    columnNumber: 0,
    typeSize: -1,
    typeModifier: -1,
  }));
}

function merger(merge: Merge, types: number[], more: Partial<MergerOptions> = {}): RowMerger {
  return new RowMerger({
    merge,
    columns: columns(...types),
    clientFormats: [],
    values: postgresValues,
    limits: { limit: undefined, offset: 0n },
    parts: 2,
    maxRows: 100,
    ...more,
  });
}

function fields(...values: (string | number | null)[]): (Buffer | undefined)[] {
  return values.map((value) => (value === null ? undefined : Buffer.from(String(value))));
}

function texts(rows: readonly (readonly (Buffer | undefined)[])[]): (string | null)[][] {
  return rows.map((row) => row.map((field) => field?.toString() ?? null));
}

describe('ordered rows', () => {
  test('come out as soon as they are certain, and not before', () => {
    const merged = merger({ ...ROWS, orderBy: [order(0)] }, [23]);
    merged.push(0, fields(1));
    assert.deepEqual(merged.take(), [], 'the other part may have a smaller one');
    merged.push(1, fields(2));
    assert.deepEqual(texts(merged.take()), [['1']]);
    merged.push(0, fields(10));
    assert.deepEqual(texts(merged.take()), [['2']], 'numbers are no texts: 10 comes after 2');
    merged.endOf(1);
    assert.deepEqual(texts(merged.take()), [['10']]);
    assert.equal(merged.isDone, false);
    merged.endOf(0);
    assert.equal(merged.isDone, true);
  });

  test('have NULLs where the query wants them', () => {
    for (const [descending, nullsFirst, expected] of [
      [false, false, ['1', '2', null]],
      [true, true, [null, '2', '1']],
      [true, false, ['2', '1', null]],
      [false, true, [null, '1', '2']],
    ] as const) {
      const merged = merger({ ...ROWS, orderBy: [order(0, { descending, nullsFirst })] }, [20]);
      for (const value of expected) merged.push(value === '1' ? 0 : 1, fields(value));
      merged.endOf(0);
      merged.endOf(1);
      assert.deepEqual(texts(merged.take()).flat(), expected);
    }
  });

  test('stop a part that is too far ahead, and let it go on', () => {
    const merged = merger({ ...ROWS, orderBy: [order(0)] }, [23]);
    let pushed = 0;
    while (merged.push(0, fields(pushed++))) assert.ok(pushed < 10_000, 'must be told to stop');
    assert.deepEqual(merged.resumable(), []);
    merged.push(1, fields(1_000_000));
    assert.equal(merged.take().length, pushed);
    assert.deepEqual(merged.resumable(), [0]);
    assert.deepEqual(merged.resumable(), [], 'each is named once');
  });

  test('stop a part whose few rows are long', () => {
    const merged = merger({ ...ROWS, orderBy: [order(0)] }, [23, 25]);
    const long = 'x'.repeat(600_000);
    assert.ok(merged.push(0, fields(1, long)), 'the first of the part');
    assert.equal(merged.push(0, fields(2, long)), false, 'the second is more than may wait');
    merged.push(1, fields(1, ''));
    assert.equal(merged.take().length, 2);
    assert.deepEqual(merged.resumable(), [], 'the second still waits, and is much');
    merged.endOf(1);
    assert.equal(merged.take().length, 1);
    assert.deepEqual(merged.resumable(), [0]);
  });

  test('hide the columns that were only for sorting', () => {
    const merged = merger(
      { ...ROWS, output: [{ type: 'rest', from: 1 }], orderBy: [order(0, { byteOrder: true })] },
      [25, 23],
    );
    merged.push(0, fields('b', 1));
    merged.push(1, fields('a', 2));
    merged.endOf(0);
    merged.endOf(1);
    assert.deepEqual(texts(merged.take()), [['2'], ['1']]);
    assert.deepEqual(
      merged.outputColumns.map((column) => column.name),
      ['c1'],
    );
  });

  test('of text are refused unless they are ordered by bytes', () => {
    assert.throws(
      () => merger({ ...ROWS, orderBy: [order(0)] }, [25]),
      (error: OperatingError) => error.sqlstate === '0A000' && /COLLATE "C"/.test(error.hint ?? ''),
    );
    assert.throws(
      () => merger({ ...ROWS, orderBy: [order(0, { byteOrder: true })] }, [114]),
      (error: OperatingError) => error.sqlstate === '0A000' && error.hint !== undefined,
    );
  });

  test('of binary columns merge too', () => {
    const merged = merger({ ...ROWS, orderBy: [order(0)] }, [20], { clientFormats: [1] });
    const binary = (value: bigint) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(value);
      return [bytes];
    };
    merged.push(0, binary(300n));
    merged.push(1, binary(-5n));
    merged.endOf(0);
    merged.endOf(1);
    assert.deepEqual(
      merged.take().map((row) => row[0]!.readBigInt64BE()),
      [-5n, 300n],
    );
  });

  test('of an INSERT come in the order of its rows', () => {
    const merged = merger(ROWS, [23], {
      rowNumbers: [
        [0, 3],
        [1, 2],
      ],
    });
    merged.push(0, fields('r0'));
    merged.push(0, fields('r3'));
    assert.deepEqual(texts(merged.take()), []);
    merged.push(1, fields('r1'));
    merged.push(1, fields('r2'));
    merged.endOf(0);
    merged.endOf(1);
    assert.deepEqual(texts(merged.take()).flat(), ['r0', 'r1', 'r2', 'r3']);
  });
});

describe('LIMIT, OFFSET and DISTINCT', () => {
  test('cut the rows and end the merge early', () => {
    const merged = merger({ ...ROWS, orderBy: [order(0)] }, [23], { limits: { limit: 2n, offset: 1n } });
    for (const value of [1, 3, 5]) merged.push(0, fields(value));
    for (const value of [2, 4, 6]) merged.push(1, fields(value));
    assert.deepEqual(texts(merged.take()).flat(), ['2', '3']);
    assert.equal(merged.isDone, true);
    assert.equal(merged.push(0, fields(9)), true);
    assert.deepEqual(merged.take(), []);
    assert.equal(merger(ROWS, [23], { limits: { limit: 0n, offset: 0n } }).isDone, true);
  });

  test('give equal values once, however they are written', () => {
    const merged = merger({ ...ROWS, distinct: true }, [1700, 25]);
    for (const [part, number, text] of [
      [0, '1.0', 'a'],
      [1, '1.00', 'a'],
      [0, '1', null],
      [1, '1.000', null],
      [0, '-0.0', 'A'],
      [1, '0', 'A'],
    ] as const)
      merged.push(part, fields(number, text));
    assert.deepEqual(texts(merged.take()).length, 3);
  });

  test('keep no more rows than allowed', () => {
    const merged = merger({ ...ROWS, distinct: true }, [23], { maxRows: 5 });
    for (let value = 0; value < 6; value++) merged.push(0, fields(value));
    assert.throws(
      () => merged.take(),
      (error: OperatingError) => error.code === 'limit-exceeded',
    );
  });
});

describe('groups', () => {
  const group = (output: MergeColumn[], more: Partial<Merge> = {}): Merge => ({
    ...ROWS,
    output,
    groupBy: [0],
    ...more,
  });

  test('add up exactly what floats could not', () => {
    const merged = merger(
      group([
        { type: 'pass', column: 0 },
        { type: 'count', column: 1 },
        { type: 'sum', column: 2 },
        { type: 'avg', sum: 2, count: 1 },
      ]),
      [25, 20, 1700],
    );
    merged.push(0, fields('x', '9007199254740993', '9007199254740993.10'));
    merged.push(1, fields('x', '1', '0.005'));
    merged.push(1, fields('y', '0', null));
    merged.endOf(0);
    assert.deepEqual(merged.take(), []);
    merged.endOf(1);
    const [x, y] = texts(merged.take());
    assert.deepEqual(x!.slice(0, 3), ['x', '9007199254740994', '9007199254740993.105']);
    assert.deepEqual(y, ['y', '0', null, null]);
  });

  test('have their least and greatest, their first, and their truth', () => {
    const merged = merger(
      group([
        { type: 'min', column: 1, byteOrder: false },
        { type: 'max', column: 1, byteOrder: false },
        { type: 'bool-and', column: 2 },
        { type: 'bool-or', column: 2 },
      ]),
      [23, 23, 16],
    );
    for (const [part, value, truth] of [
      [0, 9, 't'],
      [1, 10, 'f'],
      [0, null, null],
      [1, -1, 't'],
    ] as const)
      merged.push(part, fields(1, value, truth));
    merged.endOf(0);
    merged.endOf(1);
    assert.deepEqual(texts(merged.take()), [['-1', '10', 'f', 't']]);
  });

  test('are ordered by what was merged', () => {
    const merged = merger(
      group([{ type: 'pass', column: 0 }], {
        orderBy: [order(-1, { descending: true, nullsFirst: true, value: { type: 'count', column: 1 } })],
      }),
      [25, 20],
      { limits: { limit: 1n, offset: 0n } },
    );
    for (const [part, key, count] of [
      [0, 'a', 5],
      [1, 'b', 4],
      [0, 'b', 3],
    ] as const)
      merged.push(part, fields(key, count));
    merged.endOf(0);
    merged.endOf(1);
    assert.deepEqual(texts(merged.take()), [['b']]);
    assert.equal(merged.isDone, true);
  });

  test('out of range are an error, as on the server', () => {
    const merged = merger(
      { ...ROWS, output: [{ type: 'count', column: 0, cast: 'int4' }], groupBy: [] },
      [20],
    );
    merged.push(0, fields('2147483647'));
    merged.push(1, fields('1'));
    merged.endOf(0);
    merged.endOf(1);
    assert.throws(
      () => merged.take(),
      (error: OperatingError) => error.sqlstate === '22003',
    );
  });

  test('are told in the formats that the client wants', () => {
    const merge = group([
      { type: 'count', column: 1 },
      { type: 'avg', sum: 2, count: 1 },
    ]);
    assert.deepEqual(RowMerger.shardFormats(merge, [1], postgresValues), [0, 0, 0]);
    const merged = merger(merge, [23, 20, 20], { clientFormats: [1] });
    merged.push(0, fields(1, 3, 10));
    merged.endOf(0);
    merged.endOf(1);
    const [row] = merged.take();
    assert.equal(row![0]!.readBigInt64BE(), 3n);
    assert.deepEqual(
      merged.outputColumns.map((column) => column.typeOid),
      [20, 1700],
    );
    assert.equal(row![1]!.toString('hex'), '00050000000000100003' + '0d050d050d050d05');
  });

  test('keep no more than allowed', () => {
    const merged = merger(group([{ type: 'pass', column: 0 }]), [23], { maxRows: 3 });
    for (let value = 0; value < 3; value++) merged.push(0, fields(value));
    assert.throws(
      () => merged.push(1, fields(99)),
      (error: OperatingError) => error.code === 'limit-exceeded',
    );
  });

  test('by types that we cannot compare are refused', () => {
    assert.throws(
      () => merger(group([{ type: 'pass', column: 0 }]), [3802]),
      (error: OperatingError) => error.sqlstate === '0A000',
    );
    assert.throws(
      () => merger(group([{ type: 'sum', column: 1 }]), [23, 1186]),
      (error: OperatingError) => error.sqlstate === '0A000',
    );
  });
});

test('formats for the shards follow the client’s, with hidden columns before them', () => {
  const sorted: Merge = { ...ROWS, output: [{ type: 'rest', from: 2 }], orderBy: [order(0), order(1)] };
  assert.deepEqual(RowMerger.shardFormats(sorted, [], postgresValues), []);
  assert.deepEqual(RowMerger.shardFormats(sorted, [0, 0], postgresValues), []);
  assert.deepEqual(RowMerger.shardFormats(sorted, [1], postgresValues), [1]);
  assert.deepEqual(RowMerger.shardFormats(sorted, [1, 0, 1], postgresValues), [0, 0, 1, 0, 1]);
});
