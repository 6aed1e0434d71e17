import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findDrift } from '../../src/mysql/schema-drift.js';
import type { DatabaseSchema, SchemaObject } from '../../src/mysql/schema-read.js';

function tableOf(...columns: string[]): SchemaObject {
  const create = `CREATE TABLE \`t\` (\n${columns.map((column) => `  ${column}`).join(',\n')}\n) ENGINE=InnoDB`;
  return { kind: 'table', name: 't', create } as SchemaObject;
}

function drift(model: string, target: string): string[] {
  const [wanted, found] = [tableOf(model), tableOf(target)];
  const schema = (object: SchemaObject) => ({ objects: [object] }) as unknown as DatabaseSchema;
  return findDrift([wanted], schema(wanted), schema(found));
}

test('a character set that the collation implies is no difference', () => {
  const collation = 'COLLATE utf8mb4_0900_bin NOT NULL';
  for (const type of ['char(36)', 'text', "enum('a)','it''s (')", "set('\\\\')"])
    assert.deepEqual(
      drift(`\`c\` ${type} ${collation}`, `\`c\` ${type} CHARACTER SET utf8mb4 ${collation}`),
      [],
    );
});

test('another collation, a character set without one, and texts that only look so are', () => {
  const pairs = [
    ['`c` char(1) COLLATE utf8mb4_0900_bin', '`c` char(1) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'],
    ['`c` char(1)', '`c` char(1) CHARACTER SET latin1'],
    ["`c` char(9) COMMENT ' COLLATE x'", "`c` char(9) COMMENT ' CHARACTER SET a COLLATE x'"],
  ] as const;
  for (const [model, target] of pairs) assert.equal(drift(model, target).length, 1, target);
});
