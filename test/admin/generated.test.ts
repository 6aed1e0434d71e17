import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { commandsPage, metricsPage } from '../../src/admin/document.js';

const root = new URL('../../', import.meta.url);

function checkFile(path: string, text: string): void {
  const file = new URL(path, root);
  if (process.env['UPDATE'] === '1') writeFileSync(file, text);
  assert.equal(
    readFileSync(file, 'utf8'),
    text,
    `${path} is not current: UPDATE=1 npm test -- test/admin/generated.test.ts`,
  );
}

describe('pages made from the tables of commands and metrics', () => {
  it('include the commands', () => checkFile('docs/commands.md', commandsPage()));
  it('include the metrics', () => checkFile('docs/metrics.md', metricsPage()));
});
