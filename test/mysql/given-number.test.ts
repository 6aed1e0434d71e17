import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIELD_TYPE } from '../../src/mysql/capabilities.js';
import { askedOfNumber, mayKeepNumber, tagAsAnswered } from '../../src/mysql/given-number.js';
import { ExecuteParameters } from '../../src/mysql/parameters.js';

function isAsked(sql: string, id: number | bigint, ...parameters: [type: number, value: Buffer][]): boolean {
  const bound = new ExecuteParameters(
    parameters.map(([type]) => type),
    parameters.map(([, value]) => value),
  );
  return askedOfNumber({ tag: `OK 1 ${id} 0`, verb: 'INSERT', sql, parameters: bound }) !== undefined;
}

test('a number that is none of the plain values was given by the server', () => {
  for (const sql of [
    "INSERT INTO t (v, w) VALUES (10, 'x''y'), (NULL, default);",
    'insert ignore t value (10, 5.5)',
    'INSERT INTO t () VALUES ()',
  ])
    assert.equal(isAsked(sql, 3), false, sql);
});

test('the server is asked where the number may be a value, or anything else is among them', () => {
  for (const sql of [
    'INSERT INTO t VALUES (1, 10), (3, 20)',
    "INSERT INTO t VALUES ('3')",
    "INSERT INTO t VALUES (' 3 apples')",
    'INSERT INTO t VALUES (2.5)',
    'INSERT INTO t VALUES (1+2)',
    'INSERT INTO t VALUES (0x03)',
    'INSERT INTO t VALUES (3e0)',
    'INSERT INTO t VALUES ("3")',
    'INSERT INTO t VALUES (@three)',
    "INSERT INTO t VALUES ('\\3')",
    'INSERT INTO t SET id = 3',
    'INSERT INTO t SELECT 3',
    'INSERT INTO t (v) VALUES (1) ON DUPLICATE KEY UPDATE v = 2',
    'REPLACE INTO t VALUES (3)',
    '',
  ])
    assert.equal(isAsked(sql, 3), true, sql);
  assert.equal(isAsked('INSERT INTO t VALUES (99999)', 127), true, 'the highest of its type');
  assert.equal(isAsked(`INSERT INTO t (v) VALUES ('${'x'.repeat(0x10000)}')`, 3), true, 'a long one');
});

test('values of parameters are looked at by their types', () => {
  const sql = 'INSERT INTO t VALUES (?)';
  const [three, double] = [Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]), Buffer.alloc(8)];
  double.writeDoubleLE(3);
  assert.equal(isAsked(sql, 3, [FIELD_TYPE.LONGLONG, three]), true);
  assert.equal(isAsked(sql, 3, [FIELD_TYPE.DOUBLE, double]), true);
  assert.equal(isAsked(sql, 3, [FIELD_TYPE.VAR_STRING, Buffer.from('3')]), true);
  assert.equal(isAsked(sql, 3, [FIELD_TYPE.FLOAT, Buffer.alloc(4)]), true, 'digits of a FLOAT get lost');
  assert.equal(isAsked(sql, 7, [FIELD_TYPE.LONGLONG, three], [FIELD_TYPE.DOUBLE, double]), false);
});

test('a tag keeps the number that the server says it gave, and rows of RETURNING get it', () => {
  const end = { verb: 'INSERT', sql: 'INSERT INTO t (v) VALUES (1) RETURNING id' };
  assert.equal(tagAsAnswered({ ...end, tag: 'OK 1 3 0' }, '3'), 'OK 1 3 0');
  assert.equal(tagAsAnswered({ ...end, tag: 'OK 1 3 0' }, '2'), 'OK 1 0 0');
  assert.equal(tagAsAnswered({ ...end, tag: 'SELECT 1' }, '3'), 'SELECT 1 0 3');
});

test('upserts and RETURNING are run with the session’s own number', () => {
  for (const sql of ['REPLACE t VALUES (1)', 'insert t select 1', 'INSERT t VALUES (1) RETURNING id'])
    assert.equal(mayKeepNumber(sql), true, sql);
  assert.equal(mayKeepNumber(`INSERT INTO t (v) VALUES ('${'x'.repeat(0x10000)}')`), true, 'a long one');
  for (const sql of ['INSERT INTO t VALUES (1)', 'SELECT 1', 'UPDATE t SET duplicate = 1'])
    assert.equal(mayKeepNumber(sql), false, sql);
});
