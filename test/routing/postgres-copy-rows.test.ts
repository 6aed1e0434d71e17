import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CopyPlan } from '../../src/routing/plan.js';
import { CopyRows } from '../../src/routing/postgres-copy-rows.js';

const TEXT: CopyPlan = {
  direction: 'in',
  format: 'text',
  keyColumn: 1,
  keyType: 'text',
  delimiter: '\t',
  nullText: '\\N',
  hasHeader: false,
  quote: '"',
  escape: '"',
};
const CSV: CopyPlan = { ...TEXT, format: 'csv', delimiter: ',', nullText: '' };

/** The keys, with the data cut into pieces of every size; the rows must always be the data again. */
function keysOf(plan: CopyPlan, data: string): (string | undefined)[] {
  const bytes = Buffer.from(data);
  let expected: (string | undefined)[] | undefined;
  for (let size = 1; size <= bytes.length; size++) {
    const rows = new CopyRows(plan, 1_000);
    const found = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...rows.push(bytes.subarray(at, at + size)));
    found.push(...rows.end());
    const keys = found.filter((row) => !row.isHeader).map((row) => row.key);
    expected ??= keys;
    assert.deepEqual(keys, expected, `in pieces of ${size}`);
    assert.equal(
      Buffer.concat(found.map((row) => row.row)).toString(),
      data.endsWith('\n') ? data : `${data}\n`,
    );
  }
  return expected!;
}

describe('text format', () => {
  test('gives each row’s key, escapes undone', () => {
    assert.deepEqual(
      keysOf(TEXT, 'a\tone\nb\ttw\\to\\\\\tx\n\\N\t\\N\nc\tüñ\\x41\\101\nd\tline\\\nbreak\te\n'),
      ['one', 'tw\to\\', undefined, 'üñAA', 'line\nbreak'],
    );
  });

  test('ends a row behind an even number of backslashes, and not behind an odd one', () => {
    assert.deepEqual(keysOf(TEXT, 'a\tx\\\\\nb\ty\\\\\\\nz\n\\\n\tkey\n'), ['x\\', 'y\\\nz', 'key']);
  });

  test('takes a last row without a newline, and rows ended by CR LF', () => {
    assert.deepEqual(keysOf(TEXT, 'a\tone\r\nb\ttwo'), ['one', 'two']);
  });

  test('leaves a key undecided that is written in bytes of unknown text', () => {
    assert.deepEqual(keysOf(TEXT, 'a\t\\xff\n'), [undefined]);
  });

  test('knows a row that is too short has no key', () => {
    assert.deepEqual(keysOf(TEXT, 'only one\n'), [undefined]);
  });

  test('ends at the old end-of-data mark', () => {
    const rows = new CopyRows(TEXT, 100);
    assert.deepEqual(
      rows.push(Buffer.from('a\tb\n\\.\nc\td\n')).map((row) => row.key),
      ['b'],
    );
  });

  test('refuses a row without end', () => {
    const rows = new CopyRows(TEXT, 100);
    assert.throws(() => rows.push(Buffer.alloc(101, 'x')), /longer than 100 bytes/);
  });
});

describe('csv format', () => {
  test('gives each row’s key, quotes undone, over newlines in quotes', () => {
    assert.deepEqual(keysOf(CSV, 'a,one\n"b\nb","tw,""o"\nc,\nd,""\ne,"x"y\n'), [
      'one',
      'tw,"o',
      undefined,
      '',
      'xy',
    ]);
  });

  test('has an escape of its own if told so', () => {
    assert.deepEqual(keysOf({ ...CSV, escape: '\\', quote: "'" }, "a,'it\\'s \\\\ 1'\nb,2\n"), [
      "it's \\ 1",
      '2',
    ]);
  });

  test('tells the header from the rows', () => {
    const rows = new CopyRows({ ...CSV, hasHeader: true }, 100).push(Buffer.from('x,"k\ney"\na,b\n'));
    assert.deepEqual(
      rows.map((row) => [row.isHeader === true, row.key]),
      [
        [true, undefined],
        [false, 'b'],
      ],
    );
  });

  test('does not end inside quotes', () => {
    const rows = new CopyRows(CSV, 100);
    rows.push(Buffer.from('a,"b\n'));
    assert.throws(() => rows.end(), /unterminated CSV quoted field/);
  });
});

test('a key longer than its column is no key', () => {
  assert.deepEqual(keysOf({ ...TEXT, maxKeyLength: 3 }, 'a\tabc\nb\tabcd\nc\t😀😀😀\n'), [
    'abc',
    undefined,
    '😀😀😀',
  ]);
});
