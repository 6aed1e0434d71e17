import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownTemplate } from '../../src/sql/postgres-template.js';

test('a template for people shows no literal', () => {
  assert.equal(
    shownTemplate("SELECT * FROM t WHERE a = 5 AND b = 'secret'"),
    'SELECT * FROM t WHERE a = ? AND b = ?',
  );
});

test('statements that keep their literals are shown by their first words only', () => {
  assert.equal(shownTemplate("CREATE USER u PASSWORD 'secret'"), 'CREATE USER …');
  assert.equal(shownTemplate('BEGIN'), 'BEGIN');
});
