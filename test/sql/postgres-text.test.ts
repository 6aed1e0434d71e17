import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { OperatingError } from '../../src/lib/errors.js';
import { PostgresLexer, Tok } from '../../src/sql/postgres-lexer.js';
import { decodeLiteral } from '../../src/sql/postgres-literal.js';
import { nestingBound } from '../../src/sql/postgres-nesting.js';
import { loadParser } from '../../src/sql/postgres-parser.js';
import { splitStatements } from '../../src/sql/postgres-split.js';
import { templateOf } from '../../src/sql/postgres-template.js';

const parser = await loadParser();

/** Of what the lexer must look at twice. */
const BITS = [
  "'",
  '"',
  '$',
  '$$',
  '$a$',
  'E',
  "E'",
  'U&',
  '\\',
  '/*',
  '*/',
  '--',
  '\n',
  ' ',
  '1',
  '.',
  'e',
  'x',
  ';',
  '(',
  ')',
  '\0',
  'é',
  '😀',
  ',',
  '::',
  'B',
  "N'",
] as const;

function literalsOf(sql: string): readonly string[] {
  return templateOf(sql).literals;
}

describe('lexer', () => {
  test('finds literals of every form, with their quotes', () => {
    const forms = [
      '1',
      '1.5',
      '.5',
      '1e10',
      '1.e-3',
      '0x1F',
      "''",
      "'a''b'",
      "E'a\\'b'",
      "e'\\\\'",
      "U&'\\0041' UESCAPE '!'",
      "B'101'",
      "X'1F'",
      "N'abc'",
      '$$x$$',
      "$tag$ ' $$ $tag$",
      "'a'\n  'b'",
      "'a' -- comment\n 'b'",
    ];
    for (const form of forms) assert.deepEqual(literalsOf(`select ${form}, x`), [form], form);
  });

  test('takes no literal out of names, comments, operators and parameters', () => {
    for (const text of [
      '"1"',
      '"a""1"',
      'a1',
      'é9',
      'a$1',
      '/* 1 /* 2 */ 3 */ x',
      '-- 5\nx',
      '$1',
      'U&"\\0041"',
      'x::int[]',
      'a$$b',
    ])
      assert.deepEqual(literalsOf(`select ${text}`), [], text);
  });

  test('tells adjacent strings on one line from those that continue', () => {
    assert.deepEqual(literalsOf("select 'a' 'b'"), ["'a'", "'b'"]);
    assert.deepEqual(literalsOf("select 'a' /* no */\n 'b'"), ["'a'", "'b'"]);
  });

  test('covers every text completely, whatever it is', () => {
    let seed = 3;
    const random = (below: number) => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff) % below;
    for (let round = 0; round < 5_000; round++) {
      const text = Array.from({ length: random(14) }, () => BITS[random(BITS.length)]).join('');
      const lexer = new PostgresLexer(text);
      let covered = '';
      for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next()) {
        assert.ok(lexer.end > lexer.start, 'it always goes on');
        covered += lexer.source;
      }
      assert.equal(covered, text);
      templateOf(text);
      splitStatements(text);
    }
  });
});

/** The template of a query as each of its tokens says. */
function templateByTokens(sql: string) {
  const lexer = new PostgresLexer(sql);
  const literals: string[] = [];
  const starts: number[] = [];
  let text = '';
  let hasGap = false;
  for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next()) {
    if (kind === Tok.space || kind === Tok.comment) {
      hasGap = true;
      continue;
    }
    if (hasGap && !text.endsWith(' ')) text += ' ';
    hasGap = false;
    const isLiteral = kind >= Tok.integer && kind <= Tok.national;
    text += isLiteral ? String.fromCharCode(kind - Tok.integer + 1) : lexer.source;
    if (!isLiteral) continue;
    literals.push(lexer.source);
    starts.push(lexer.start);
  }
  return { text: text.trimEnd(), literals, starts };
}

describe('template', () => {
  test('is one for statements that differ in literals, white space and comments', () => {
    const texts = [
      "select * from t where a = 1 and b = 'x'",
      'select  *\nfrom t where a = 22 and b = $$y$$ -- end',
      "/* hi */ select * from t where a = 333 and /* there */ b = 'it''s'",
    ];
    assert.equal(new Set(texts.map((text) => templateOf(text).text)).size, 1);
  });

  test('is what its tokens make of it, one by one', () => {
    const words = fc.constantFrom(
      ...BITS,
      'select',
      'a_1',
      'é1',
      ' ',
      '  ',
      '=',
      '-',
      '&',
      '<',
      ':',
      '1.5',
      '.5',
      "'x'",
      'n',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 20 }), (parts) => {
        const sql = `select ${parts.join('')}`;
        const { text, literals, starts } = templateOf(sql);
        assert.deepEqual({ text, literals, starts }, templateByTokens(sql));
      }),
      { numRuns: 5_000 },
    );
  });

  test('keeps apart what means something else', () => {
    const texts = [
      'select 1',
      'select 1.0',
      "select '1'",
      'select "1"',
      "select B'1'",
      'select $1',
      'select - 1',
      'select -1',
      'select --1\n',
      "select 'a', 'b'",
    ];
    assert.equal(new Set(texts.map((text) => templateOf(text).text)).size, texts.length);
  });

  test('keeps the literals of statements that are not queries', () => {
    assert.notEqual(templateOf("SET a = '1'").text, templateOf("SET a = '2'").text);
  });

  test('says which shard or key a hint names, and refuses one that cannot be understood', () => {
    assert.deepEqual(templateOf('/* ringferry: key=42 */ select 1').hint, { type: 'key', key: '42' });
    assert.deepEqual(templateOf("select 1 /* ringferry:  shard = 'a b' */").hint, {
      type: 'shard',
      shard: 'a b',
    });
    assert.equal(templateOf('select 1 /* ring: key=1 */').hint, undefined);
    assert.equal(templateOf("select '/* ringferry: key=1 */'").hint, undefined);
    assert.throws(() => templateOf('/* ringferry: kee=1 */ select 1'), OperatingError);
  });
});

describe('split', () => {
  test('cuts at semicolons of the top level only', () => {
    const cuts: [string, string[]][] = [
      ['select 1; select 2', ['select 1', 'select 2']],
      [";; select ';' ; /* ; */ ;", ["select ';'"]],
      [
        'create rule r as on insert to t do also (select 1; select 2); select 3',
        ['create rule r as on insert to t do also (select 1; select 2)', 'select 3'],
      ],
      [
        'create function f() returns int begin atomic select 1; select case when true then 2 end; end; select 4',
        [
          'create function f() returns int begin atomic select 1; select case when true then 2 end; end',
          'select 4',
        ],
      ],
      [
        'create function f() returns int language sql as $$ select 1; $$; select 2',
        ['create function f() returns int language sql as $$ select 1; $$', 'select 2'],
      ],
      ['begin; select 1; end; select 2', ['begin', 'select 1', 'end', 'select 2']],
      ['', []],
      [' -- nothing\n', []],
    ];
    for (const [sql, statements] of cuts) assert.deepEqual(splitStatements(sql), statements, sql);
  });
});

describe('literal', () => {
  test('is decoded as the server decodes it', () => {
    const values: [string, string | undefined][] = [
      ["'a''b'", "a'b"],
      ["'a\\b'", 'a\\b'],
      ["E'a\\nb\\'c\\\\'", "a\nb'c\\"],
      ["E'\\x41\\101\\u00e9\\U0001F600'", 'AAé😀'],
      ["E'\\xff'", undefined],
      ["E'a''b'", "a'b"],
      ["'a'\n'b''c'", "ab'c"],
      ['$$a$b$$', 'a$b'],
      ["$x$'$$\\$x$", "'$$\\"],
      ["U&'\\0041'", undefined],
      ["N'a'", undefined],
    ];
    for (const [source, text] of values) assert.equal(decodeLiteral(source)?.text, text, source);
    assert.deepEqual(decodeLiteral('12.50'), { type: 'number', text: '12.50' });
  });
});

describe('parser', () => {
  test('says what the server says of a syntax error', () => {
    assert.throws(
      () => parser.parse('selec 1'),
      (error: OperatingError) =>
        error.sqlstate === '42601' && /syntax error at or near "selec"/.test(error.message),
    );
    assert.throws(() => parser.parse("select 'a\0b'"), OperatingError);
  });

  test('refuses what would overflow it, and lives', () => {
    const deep = [
      `select ${'('.repeat(5_000)}1${')'.repeat(5_000)}`,
      `select ${Array(9_000).fill('1').join(' + ')}`,
      `select ${'case when true then '.repeat(3_000)}1${' end'.repeat(3_000)}`,
      `select 1${'::int'.repeat(9_000)}`,
      `select * from t${' join t on true'.repeat(9_000)}`,
      `select ${'not '.repeat(9_000)}true`,
    ];
    for (const sql of deep)
      assert.throws(
        () => parser.parse(sql),
        (error: OperatingError) => error.code === 'limit-exceeded',
        sql.slice(0, 40),
      );
    assert.equal(parser.parse('select 1').length, 1);
  });

  test('takes long lists, which are not deep', () => {
    const rows = Array.from({ length: 5_000 }, (_, index) => `(-${index}, 'x')`).join(', ');
    assert.equal(parser.parse(`insert into t values ${rows}`).length, 1);
    assert.equal(parser.parse(`select ${Array(5_000).fill('a = 1').join(' or ')}`).length, 1);
    assert.ok(nestingBound(`select a in (${Array(50_000).fill('1').join(',')})`) < 20);
  });
});
