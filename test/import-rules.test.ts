import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';

/** A house of one-line files: each imports the others named; returns the names of the rules that it breaks. */
async function brokenRules(files: Readonly<Record<string, string>>): Promise<string[]> {
  const root = await mkdtemp(join(tmpdir(), 'ringferry-rules-'));
  try {
    await copyFile('.dependency-cruiser.cjs', join(root, '.dependency-cruiser.cjs'));
    await copyFile('tsconfig.json', join(root, 'tsconfig.json'));
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
    const program = resolve('node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
    const output = await new Promise<string>((done) => {
      const args = [program, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src'];
      execFile(process.execPath, args, { cwd: root }, (_error, stdout) => done(stdout));
    });
    const { summary } = JSON.parse(output) as { summary: { violations: { rule: { name: string } }[] } };
    return [...new Set(summary.violations.map((violation) => violation.rule.name))].sort();
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const LEAVES = {
  'src/lib/a.ts': 'export const a = 1;',
  'src/topology/b.ts': "import { a } from '../lib/a.js'; export interface B { b: 1 } export const b = a;",
  'src/proxy/c.ts': "import { b } from '../topology/b.js'; export const c = b;",
  'src/migration/d.ts': "import { b } from '../topology/b.js'; export const d = b;",
  'src/postgres/e.ts': "import { c } from '../proxy/c.js'; export const e = c;",
};

test('imports that go down the floors break no rule', async () => {
  assert.deepEqual(
    await brokenRules({
      ...LEAVES,
      'src/sql/f.ts': "import type { B } from '../topology/b.js'; export type F = B;",
    }),
    [],
  );
});

test('proxy and migration may not import each other', async () => {
  const files = {
    ...LEAVES,
    'src/proxy/x.ts': "import { d } from '../migration/d.js'; export const x = d;",
    'src/migration/y.ts': "import type { c } from '../proxy/c.js'; export type Y = typeof c;",
  };
  assert.deepEqual(await brokenRules(files), [
    'migration-knows-no-room-beside-it',
    'proxy-knows-no-room-beside-it',
  ]);
});

test('a lower floor may not import a higher one, not even its types', async () => {
  const files = {
    ...LEAVES,
    'src/lib/x.ts': "import type { B } from '../topology/b.js'; export type X = B;",
  };
  assert.deepEqual(await brokenRules(files), ['floor-0-imports-only-downwards']);
});

test('the hall may not import a wing', async () => {
  const files = { ...LEAVES, 'src/admin/x.ts': "import { e } from '../postgres/e.js'; export const x = e;" };
  assert.deepEqual(await brokenRules(files), ['hall-never-imports-a-wing']);
});

test('sql may use the types of topology but nothing that exists at run time', async () => {
  const files = { ...LEAVES, 'src/sql/x.ts': "import { b } from '../topology/b.js'; export const x = b;" };
  assert.deepEqual(await brokenRules(files), ['sql-knows-no-room-beside-it']);
});
