import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { PreparedStatements } from '../../src/proxy/prepared.js';

const statement = (name: string, sql = 'SELECT 1') => ({ name, sql, parameterTypes: [], id: 1 });
const withSqlstate = (sqlstate: string) => (error: unknown) =>
  error instanceof OperatingError && error.sqlstate === sqlstate;

test('a named statement must be closed before it is made again', () => {
  const statements = new PreparedStatements(10);
  statements.add(statement('a'));
  assert.throws(() => statements.add(statement('a')), withSqlstate('42P05'));
  statements.delete('a');
  statements.add(statement('a', 'SELECT 2'));
  assert.equal(statements.get('a').sql, 'SELECT 2');
});

test('the unnamed statement may be made again at any time', () => {
  const statements = new PreparedStatements(1);
  statements.add(statement(''));
  statements.add(statement('', 'SELECT 2'));
  assert.equal(statements.get('').sql, 'SELECT 2');
});

test('a statement that the server may have refused can be made again, once', () => {
  const statements = new PreparedStatements(10);
  statements.add(statement('a'));
  statements.doubt('a');
  statements.add(statement('a', 'SELECT 2'));
  assert.throws(() => statements.add(statement('a')), withSqlstate('42P05'));
});

test('the number of named statements is bounded', () => {
  const statements = new PreparedStatements(2);
  statements.add(statement('a'));
  statements.add(statement('b'));
  assert.throws(() => statements.add(statement('c')), withSqlstate('54000'));
});

test('a statement that was never made is an error of its own', () => {
  assert.throws(() => new PreparedStatements(1).get('x'), withSqlstate('26000'));
});
