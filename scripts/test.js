// npm test: brings the servers that the tests need, runs every test file, and ends with "N passed, N failed" on a line.
// Arguments are test files to run instead of all: npm test -- test/sql/lexer.test.ts
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildWhenStale } from './build-when-stale.js';
import { compileTests } from './compile-tests.js';
import { bringGenuineMysql } from './genuine-mysql.js';
import { bringPrograms, howToInstall } from './programs.js';

const root = new URL('..', import.meta.url).pathname;
process.chdir(root);

function bringOrEnd() {
  const missing = bringPrograms();
  if (missing.length === 0) return;
  process.stderr.write(`${howToInstall(missing)}\n`);
  process.stdout.write('0 passed, 1 failed\n');
  process.exit(1);
}

/** Folders whose files take longest are first, so that no core is left waiting for the last file of another. */
const LONGEST_FIRST = ['test/simulation', 'test/integration', 'test/drivers', 'test/mysql', 'test/postgres'];

function placeOf(path) {
  const place = LONGEST_FIRST.findIndex((folder) => path.startsWith(`${folder}/`));
  return place === -1 ? LONGEST_FIRST.length : place;
}

function testFiles() {
  const given = process.argv.slice(2);
  if (given.length > 0) return given;
  return readdirSync('test', { recursive: true })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => join('test', path))
    .sort((one, other) => placeOf(one) - placeOf(other) || (one < other ? -1 : 1));
}

bringOrEnd();
const noMysql = bringGenuineMysql();
if (noMysql !== undefined) process.stderr.write(`tests against a genuine MySQL are skipped: ${noMysql}\n`);
buildWhenStale((line) => process.stderr.write(`${line}\n`));
const compiled = await compileTests();
const folder = mkdtempSync(join(tmpdir(), 'ringferry-tests-'));
const totals = join(folder, 'totals.json');
// Fresh installations that the first servers of a kind leave to the next; their users must come through to them.
const templates = join(folder, 'templates');
mkdirSync(templates);
chmodSync(folder, 0o711);
const concurrency =
  process.env.RINGFERRY_TEST_CONCURRENCY ?? Math.max(1, Math.min(4, availableParallelism()));
const run = spawn(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    `--test-concurrency=${concurrency}`,
    '--test-timeout=600000',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/totals-reporter.js',
    `--test-reporter-destination=${totals}`,
    ...testFiles().map(compiled),
  ],
  {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, RINGFERRY_TEST_TEMPLATES: templates },
  },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => run.kill(signal));
run.once('exit', (status) => {
  let counts = { passed: 0, failed: 1, failures: [] };
  try {
    counts = JSON.parse(readFileSync(totals, 'utf8'));
  } catch {
    process.stderr.write('the test run ended before it could count\n');
  }
  rmSync(folder, { recursive: true, force: true });
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  for (const { name, file, why, stderr } of counts.failures)
    process.stdout.write(`\nfailed: ${name} (${file})\n${why}\n${stderr}`);
  process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
  process.exit(status === 0 && counts.failed === 0 && counts.passed > 0 ? 0 : 1);
});
