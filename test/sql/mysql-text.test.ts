import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MysqlLexer, Tok } from '../../src/sql/mysql-lexer.js';
import { decodeLiteral, quoteText } from '../../src/sql/mysql-literal.js';
import { DEFAULT_MODE, modeKey, type SqlMode, sqlModeOf } from '../../src/sql/mysql-mode.js';
import { splitStatements } from '../../src/sql/mysql-split.js';
import { shownTemplate, templateOf } from '../../src/sql/mysql-template.js';

const ANSI: SqlMode = { ...DEFAULT_MODE, ansiQuotes: true };
const PLAIN: SqlMode = { ...DEFAULT_MODE, noBackslashEscapes: true };

function literalsOf(sql: string, mode?: SqlMode): readonly string[] {
  return templateOf(sql, mode).literals;
}

describe('lexer', () => {
  test('finds literals of every form, with their quotes and introducers', () => {
    const forms = [
      '1',
      '1.5',
      '.5',
      '5.',
      '1e10',
      '1.5e-3',
      '0x1F',
      '0b101',
      "''",
      '""',
      "'a''b'",
      "'a\\'b'",
      '"a\'b"',
      '"a""b"',
      "N'abc'",
      "x'1F'",
      "X'1F'",
      "b'101'",
      "_utf8mb4'x'",
      "_latin1 'x'",
      "_binary x'41'",
      '_utf8mb4 0x41',
      "'a' 'b'",
      '\'a\'\n"b"',
    ];
    for (const form of forms) assert.deepEqual(literalsOf(`select ${form}, x`), [form], form);
  });

  test('takes no literal out of names, comments, operators, variables and markers', () => {
    for (const text of [
      '`1`',
      '`a``1`',
      'a1',
      '1a',
      '0xZZ',
      '1ea',
      'é9',
      'a$1',
      't.1',
      't.5a',
      '`t`.1e5',
      '/* 1 */ x',
      '-- 5\nx',
      '# 5\nx',
      '?',
      "@'1'",
      '@a.1',
      '@@global.x',
      '_foo',
      '/*!99999 1 */ x',
    ])
      assert.deepEqual(literalsOf(`select ${text}`), [], text);
  });

  test('follows sql_mode in what quotes and backslashes mean', () => {
    assert.deepEqual(literalsOf('select "a"'), ['"a"']);
    assert.deepEqual(literalsOf('select "a"', ANSI), []);
    assert.deepEqual(literalsOf("select 'a\\', 'c'", PLAIN), ["'a\\'", "'c'"]);
    assert.deepEqual(literalsOf("select 'a\\', 'c'"), ["'a\\', '", "'"]);
    assert.deepEqual(modeKey(sqlModeOf('STRICT_TRANS_TABLES, ansi_quotes')), 'q');
    assert.equal(modeKey(sqlModeOf('STRICT_TRANS_TABLES')), '');
  });

  test('reads executable comments that every server runs as code, and leaves others whole', () => {
    assert.deepEqual(literalsOf('select /*!40101 1, */ 2'), ['1', '2']);
    assert.deepEqual(literalsOf('select /*! 1 /* 7 */, */ 2'), ['1', '2']);
    assert.equal(templateOf('/*!40101 SET NAMES utf8 */').text, 'SET NAMES utf8');
    const lexer = new MysqlLexer('/*M! 5 */');
    assert.equal(lexer.nextSolid(), Tok.conditional);
  });

  test('ends -- comments only where the server does', () => {
    assert.deepEqual(literalsOf('select 5--1'), ['5', '1']);
    assert.deepEqual(literalsOf('select 5-- 1\n, 2'), ['5', '2']);
    assert.deepEqual(literalsOf('select 5 # 1\r, 2'), ['5']);
  });

  test('gives back every character of any text', () => {
    const pieces = [
      "'",
      '"',
      '`',
      '\\',
      '/*',
      '*/',
      '/*!',
      '#',
      '-- ',
      '\n',
      '?',
      '@',
      '1',
      'e',
      '.',
      '_utf8',
      'x',
      '0x',
      ';',
      'é',
    ];
    let seed = 7;
    const random = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
    for (let round = 0; round < 3000; round++) {
      const text = Array.from({ length: 12 }, () => pieces[Math.floor(random() * pieces.length)]).join('');
      const lexer = new MysqlLexer(text);
      let seen = '';
      while (lexer.next() !== Tok.end) {
        assert.ok(lexer.end > lexer.start, text);
        seen += lexer.source;
      }
      assert.equal(seen, text);
    }
  });
});

describe('template', () => {
  test('is one for texts that differ in literals, comments and white space only', () => {
    const one = templateOf("SELECT a FROM t WHERE id = 5 AND b='x'").text;
    assert.equal(templateOf("/* c */ SELECT a  FROM t -- x\n WHERE id = 77 AND b='it''s' # y").text, one);
    assert.notEqual(templateOf("SELECT a FROM t WHERE id = '5' AND b='x'").text, one);
    assert.notEqual(templateOf("SELECT a FROM t WHERE id = 5 AND b='x'", PLAIN).text, one);
  });

  test('keeps the literals of statements whose meaning may hang on them', () => {
    assert.equal(templateOf("SET NAMES 'utf8'").text, "SET NAMES 'utf8'");
  });

  test('finds hints', () => {
    assert.deepEqual(templateOf('/* ringferry: key=5 */ SELECT 1').hint, { type: 'key', key: '5' });
    assert.equal(templateOf('SELECT 1 -- ringferry: key=5').hint, undefined);
  });

  test('shows no literal', () => {
    assert.equal(shownTemplate("SELECT 'secret'", PLAIN), 'SELECT ?');
    assert.equal(shownTemplate("SET PASSWORD = PASSWORD('secret')"), 'SET PASSWORD …');
  });
});

describe('literal', () => {
  test('is decoded as the server reads it', () => {
    const string = (text: string) => ({ type: 'string', text });
    assert.deepEqual(decodeLiteral("'a''b\\n\\%\\q'"), string("a'b\n\\%q"));
    assert.deepEqual(decodeLiteral("'a''b\\n'", PLAIN), string("a'b\\n"));
    assert.deepEqual(decodeLiteral('"a""b\'\'"'), string("a\"b''"));
    assert.deepEqual(decodeLiteral("'a' 'b' \"c\""), string('abc'));
    assert.deepEqual(decodeLiteral("_utf8mb4 'é'"), string('é'));
    assert.equal(decodeLiteral("_latin1'é'"), undefined);
    assert.equal(decodeLiteral("_utf16'a'"), undefined);
    assert.deepEqual(decodeLiteral("N'a'"), string('a'));
    assert.deepEqual(decodeLiteral("x'41'"), { type: 'bits', text: "x'41'" });
    assert.deepEqual(decodeLiteral('1.50'), { type: 'number', text: '1.50' });
    assert.equal(decodeLiteral("'a"), undefined);
  });

  test('comes back from the text that is written for it', () => {
    for (const mode of [DEFAULT_MODE, PLAIN])
      for (const text of ['', "it's", 'a\\b', '\\', "\\'", '%_\\%', '\0\n\x1a'])
        assert.deepEqual(decodeLiteral(quoteText(text, mode), mode), { type: 'string', text });
  });
});

describe('split', () => {
  test('cuts at semicolons of the top level only', () => {
    assert.deepEqual(splitStatements("select ';'; /* ; */ select `;`;; -- ;\n"), [
      "select ';'",
      '/* ; */ select `;`',
    ]);
  });

  test('leaves the bodies of routines whole', () => {
    const bodies = [
      'CREATE PROCEDURE p() BEGIN SELECT 1; IF a THEN SELECT CASE WHEN 1 THEN 2 END; END IF; END',
      'CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW IF NEW.a THEN SET NEW.a = IF(1, 2, 3); SET @b = 1; END IF',
      'CREATE PROCEDURE p() l: LOOP LEAVE l; END LOOP',
      'CREATE PROCEDURE p() BEGIN DROP TABLE IF EXISTS x; WHILE 1 DO SELECT 1; END WHILE; REPEAT SET a = 1; UNTIL 1 END REPEAT; END',
      'CREATE PROCEDURE p() BEGIN CASE a WHEN 1 THEN SELECT 1; ELSE BEGIN END; END CASE; END',
      'CREATE PROCEDURE IF NOT EXISTS p() SELECT 1',
      'BEGIN NOT ATOMIC SELECT 1; SELECT 2; END',
      'CREATE FUNCTION f() RETURNS INT RETURN IF(1, 2, 3)',
      'BEGIN',
      'CREATE TABLE t (a INT)',
    ];
    for (const body of bodies)
      assert.deepEqual(splitStatements(`${body}; SELECT 5`), [body, 'SELECT 5'], body);
  });
});
