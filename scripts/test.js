// npm test: brings the servers that the tests need, runs every test file, and ends with "N passed, N failed" on a line.
// Arguments are test files to run instead of all: npm test -- test/sql/lexer.test.ts
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
process.chdir(root);

const isMissing = (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error !== undefined;

/** psql and pgbench are programs that the tests drive; Debian's Postgres is the second version that they run against. */
function bringPrograms() {
  const missing = ['psql', 'pgbench'].filter(isMissing);
  if (missing.length === 0) return;
  const isRoot = process.getuid?.() === 0;
  if (isRoot && !isMissing('apt-get')) {
    process.stdout.write(`bringing ${missing.join(' and ')} by apt-get …\n`);
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...args) => spawnSync('apt-get', args, { env: environment, encoding: 'utf8' });
    apt('update', '-q');
    const install = apt('install', '-y', '-q', '--no-install-recommends', 'postgresql', 'postgresql-contrib');
    if (install.status !== 0) process.stderr.write(`${install.stdout}${install.stderr}\n`);
  }
  const still = ['psql', 'pgbench'].filter(isMissing);
  if (still.length === 0) return;
  process.stderr.write(
    `The tests drive ${still.join(' and ')}, which ${still.length === 1 ? 'is' : 'are'} not installed.\nInstall PostgreSQL's programs first (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql).\n`,
  );
  process.stdout.write('0 passed, 1 failed\n');
  process.exit(1);
}

function testFiles() {
  const given = process.argv.slice(2);
  if (given.length > 0) return given;
  return readdirSync('test', { recursive: true })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => join('test', path))
    .sort();
}

bringPrograms();
const folder = mkdtempSync(join(tmpdir(), 'ringferry-tests-'));
const totals = join(folder, 'totals.json');
const concurrency =
  process.env.RINGFERRY_TEST_CONCURRENCY ?? Math.max(1, Math.min(4, availableParallelism()));
const run = spawn(
  process.execPath,
  [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${concurrency}`,
    '--test-timeout=600000',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/totals-reporter.js',
    `--test-reporter-destination=${totals}`,
    ...testFiles(),
  ],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => run.kill(signal));
run.once('exit', (status) => {
  let counts = { passed: 0, failed: 1 };
  try {
    counts = JSON.parse(readFileSync(totals, 'utf8'));
  } catch {
    process.stderr.write('the test run ended before it could count\n');
  }
  rmSync(folder, { recursive: true, force: true });
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
  process.exit(status === 0 && counts.failed === 0 && counts.passed > 0 ? 0 : 1);
});
