import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgresDialect as dialect } from '../../src/postgres/dialect.js';

test('counts in tags of several shards are added, other tags are told once', () => {
  assert.equal(dialect.sumTags(['INSERT 0 2', 'INSERT 0 3']), 'INSERT 0 5');
  assert.equal(dialect.sumTags(['UPDATE 0', undefined, 'UPDATE 7']), 'UPDATE 7');
  assert.equal(dialect.sumTags(['CREATE TABLE', 'CREATE TABLE']), 'CREATE TABLE');
  assert.equal(dialect.sumTags([]), '');
});

test('options of the startup packet are read as the server reads its command line', () => {
  assert.deepEqual(dialect.startupOptions('-c geqo=off --statement-timeout=5min -cwork_mem=4MB'), [
    ['geqo', 'off'],
    ['statement_timeout', '5min'],
    ['work_mem', '4MB'],
  ]);
  assert.deepEqual(dialect.startupOptions('-c search_path=a,\\ b -c x=a=b'), [
    ['search_path', 'a, b'],
    ['x', 'a=b'],
  ]);
});

test('values that a client chooses are quoted whatever they hold', () => {
  assert.equal(
    dialect.startupSetting('application_name', `it's \\'; DROP`),
    `SELECT pg_catalog.set_config('application_name', E'it''s \\\\''; DROP', false)`,
  );
  assert.equal(dialect.startupSetting('user', 'x'), undefined);
  assert.equal(dialect.words.savepoint('a"b'), 'SAVEPOINT "a""b"');
});

test('a shard URL keeps everything but the name of the database', () => {
  assert.equal(
    dialect.withDatabase('postgres://u:p@h:1/old?sslmode=require', 'new one'),
    'postgres://u:p@h:1/new%20one?sslmode=require',
  );
});
