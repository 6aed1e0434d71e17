import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadedKey } from '../../src/routing/mysql-load-key.js';
import { type LoadedRows, LoadRows } from '../../src/routing/mysql-load-rows.js';
import { mysqlParser } from '../../src/sql/mysql-parser.js';
import { statementOf } from '../../src/sql/mysql-tree.js';

function rowsOf(options: string, key = 0, fieldCount = 3): LoadedRows {
  const [statement] = mysqlParser.parse(`LOAD DATA LOCAL INFILE 'f' INTO TABLE t ${options}`);
  const load = statementOf(statement!.stmt!, 'LoadDataStmt');
  return {
    options: load!.options!,
    charset: 'utf8mb4',
    fieldCount,
    key: { type: 'text', hasAllCharacters: true, field: key },
    given: [],
  };
}

/** Rows and their keys, with the file cut into pieces of every size. */
function cut(rows: LoadedRows, file: string): [row: string, key: string | undefined][] {
  const bytes = Buffer.from(file);
  let expected: [string, string | undefined][] | undefined;
  for (let size = Math.max(1, bytes.length); size > 0; size--) {
    const cutter = new LoadRows(rows, 1_000);
    const found: [string, string | undefined][] = [];
    for (let at = 0; at < bytes.length; at += size) {
      const piece = Buffer.from(bytes.subarray(at, at + size));
      for (const { row, key } of cutter.push(piece)) found.push([row.toString(), key]);
      piece.fill(0);
    }
    for (const { row, key } of cutter.end()) found.push([row.toString(), key]);
    expected ??= found;
    assert.deepEqual(found, expected, `in pieces of ${size}`);
  }
  return expected!;
}

describe('the rows of a file', () => {
  test('end where the line’s end stands outside of quotes', () => {
    assert.deepEqual(cut(rowsOf(`FIELDS TERMINATED BY ',' ENCLOSED BY '"'`), '"a\n",b,c\n"d""",e\n'), [
      ['"a\n",b,c\n', 'a\n'],
      ['"d""",e\n', 'd"'],
    ]);
  });

  test('end at the first line’s end behind the last column, whatever is quoted there', () => {
    const found = cut(rowsOf(`FIELDS TERMINATED BY ',' ENCLOSED BY '"'`, 0, 1), 'a,"x\ny",z\\\n\n');
    assert.deepEqual(
      found.map(([, key]) => key),
      ['a', 'y"'],
    );
  });

  test('lines that are left out, what stands before a row, and what is no row at the end', () => {
    const rows = rowsOf(`LINES STARTING BY '>>' TERMINATED BY '\\r\\n' IGNORE 1 LINES`);
    assert.deepEqual(cut(rows, 'head\r\n> >>a\t1\r\n\r\n>>b\r\n> c'), [
      ['> >>a\t1\r\n', 'a'],
      ['\r\n>>b\r\n', 'b'],
    ]);
  });

  test('keys are decoded, and NULL is none', () => {
    const file = 'a\\tb\\\\\t\n\\N\t\n\\0\\Z\\q\t\n\t\nä€🐘';
    assert.deepEqual(
      cut(rowsOf(''), file).map(([, key]) => key),
      ['a\tb\\', undefined, '\0\x1aq', '', 'ä€🐘'],
    );
    const quoted = rowsOf(`FIELDS TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY ''`);
    assert.deepEqual(
      cut(quoted, 'NULL,\n"NULL",\n\\N,\n').map(([, key]) => key),
      [undefined, 'NULL', '\\N'],
    );
  });

  test('a row that is too long is an error, however it comes', () => {
    for (const size of [1, 7, 3_000]) {
      const cutter = new LoadRows(rowsOf(''), 1_000);
      assert.throws(() => {
        for (let sent = 0; sent < 3_000; sent += size) cutter.push(Buffer.alloc(size, 'x'));
      }, /longer than 1000 bytes/);
    }
  });

  test('a long row is not read over and over', () => {
    const cutter = new LoadRows(rowsOf(''), 64 * 1024 * 1024);
    const piece = Buffer.alloc(4 * 1024, 'x');
    const startedMs = performance.now();
    for (let sent = 0; sent < 16 * 1024 * 1024; sent += piece.length) cutter.push(piece);
    assert.equal(cutter.end().length, 1);
    assert.ok(performance.now() - startedMs < 10_000, 'each piece was read with all before it');
  });

  test('bytes of another character set behind the fields are an error: a server may take a line’s end for their part', () => {
    const cutter = new LoadRows(rowsOf('', 0, 1), 1_000);
    assert.throws(() => cutter.push(Buffer.from('a\tb\xe4\nc\n', 'latin1')), /no UTF-8/);
  });
});

describe('a key in a file', () => {
  const key = (
    type: Parameters<typeof loadedKey>[1]['type'],
    text: string,
    facts = {},
    charset = 'utf8mb4',
  ) => loadedKey(Buffer.from(text), { type, hasAllCharacters: true, ...facts }, charset);

  test('is known where the column stores what is written', () => {
    assert.equal(key('integer', '-07'), '-07');
    assert.equal(key('numeric', '1.50', { bounds: { precision: 5, scale: 2 } }), '1.50');
    assert.equal(key('date', '2024-02-29'), '2024-02-29');
    assert.equal(
      key('timestamp', '2024-02-29 23:59:59.5', { bounds: { scale: 1 } }),
      '2024-02-29 23:59:59.5',
    );
    assert.equal(key('bytes', 'a\xff'), '\\x61c3bf');
    assert.equal(key('text', '🐘', { maxLength: 1 }), '🐘');
  });

  const UNKNOWN: [Parameters<typeof key>, string][] = [
    [['integer', ''], 'it is stored as 0'],
    [['integer', '5x'], 'it is cut'],
    [['integer', '5.5'], 'it is rounded'],
    [['integer', '1e2'], 'it is written otherwise'],
    [['integer', '300', { bounds: { low: 0n, high: 255n } }], 'it is clamped'],
    [['numeric', '1.555', { bounds: { precision: 5, scale: 2 } }], 'it is rounded'],
    [['date', '2024-02-30'], 'there is no such day'],
    [['date', '24-2-1'], 'it is written otherwise'],
    [['timestamp', '2024-01-01 00:00:00.55', { bounds: { scale: 1 } }], 'it is rounded'],
    [['uuid', '{6ccd780c-baba-1026-9564-5b8c656024db}'], 'it is written otherwise'],
    [['bytes', 'abc', { bounds: { maxBytes: 2 } }], 'it is cut'],
    [['text', 'abc', { maxLength: 2 }], 'it is cut'],
    [['text', 'ä', { hasAllCharacters: false }], 'the column may not have it'],
    [['text', '🐘', {}, 'utf8mb3'], 'the file’s character set does not have it'],
    [['text', 'ä', {}, 'latin1'], 'these are two letters'],
    [['text-ci', 'ä'], 'it may equal others'],
  ];
  for (const [given, why] of UNKNOWN)
    test(`${given[0]} ${JSON.stringify(given[1])} is refused: ${why}`, () => {
      assert.equal(key(...given), undefined);
    });
});
