import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun, runToEnd } from './programs.js';
import { connectionVariables, type Outcome, type Outcomes, type Suite, type Target } from './suite.js';

const FILE_LIMIT_MS = 900_000;
const TEST_LIMIT_S = 60;

interface PythonDriver {
  readonly name: string;
  readonly version: string;
  /** The package that holds the built driver, when it is another one than that with the tests. */
  readonly built?: string;
  /** The folder of tests in the source distribution. */
  readonly tests: string;
  readonly needs?: readonly string[];
  /** Files that test something else: a sandbox of their own, a documentation, a benchmark. */
  readonly leavesOut: RegExp;
  variables?(target: Target): NodeJS.ProcessEnv;
}

const DRIVERS: readonly PythonDriver[] = [
  {
    name: 'psycopg2',
    version: '2.9.13',
    built: 'psycopg2-binary',
    tests: 'tests',
    leavesOut: /test_replication/,
    variables: (target) => ({
      PSYCOPG2_TESTDB: target.database,
      PSYCOPG2_TESTDB_HOST: target.host,
      PSYCOPG2_TESTDB_PORT: String(target.port),
      PSYCOPG2_TESTDB_USER: 'postgres',
    }),
  },
  {
    name: 'asyncpg',
    version: '0.32.0',
    tests: 'tests',
    leavesOut: /test__|test_subinterpreters/,
  },
  {
    name: 'pg8000',
    version: '1.31.6',
    tests: 'test',
    needs: ['pytest-mock', 'pytz'],
    leavesOut: /\/auth\/|readme|benchmarks|stress/,
  },
];

function python(folder: string): string {
  return join(folder, 'venv', 'bin', 'python');
}

function pythonSuite(driver: PythonDriver): Suite {
  const { name, version, built = name, tests, needs = [], leavesOut } = driver;
  return {
    name,
    brings: `${name} ${version} (PyPI)`,
    async bring(folder) {
      await mustRun('python3', ['-m', 'venv', 'venv'], folder);
      const pip = (...args: string[]) =>
        mustRun(python(folder), ['-m', 'pip', '--quiet', '--disable-pip-version-check', ...args], folder);
      await pip('install', `${built}==${version}`, 'pytest', 'pytest-timeout', ...needs);
      await pip('download', '--no-deps', '--no-binary', name, `${name}==${version}`);
      await mustRun('tar', ['xzf', `${name}-${version}.tar.gz`], folder);
      // Away from the driver's own sources, which are not built.
      await mkdir(join(folder, 'work'));
      await cp(join(folder, `${name}-${version}`, tests), join(folder, 'work', tests), { recursive: true });
    },
    async files(folder) {
      const found = await readdir(join(folder, 'work', tests), { recursive: true });
      return found
        .filter((path) => /(^|\/)test_\w+[\w-]*\.py$/.test(path))
        .map((path) => join(tests, path))
        .filter((path) => !leavesOut.test(path))
        .sort();
    },
    async run(folder, file, target) {
      const options = ['-v', '-rfE', '-p', 'no:cacheprovider', '--color=no', `--timeout=${TEST_LIMIT_S}`];
      const { status, output } = await runToEnd(python(folder), ['-m', 'pytest', ...options, file], {
        cwd: join(folder, 'work'),
        env: { ...connectionVariables(target), COLUMNS: '400', ...driver.variables?.(target) },
        limitMs: FILE_LIMIT_MS,
      });
      return readPytest(file, status, output);
    },
  };
}

const ENDINGS: Readonly<Record<string, Outcome['kind']>> = {
  PASSED: 'passed',
  XPASS: 'passed',
  FAILED: 'failed',
  ERROR: 'failed',
  SKIPPED: 'skipped',
  XFAIL: 'skipped',
};

/** `file::Class::test PASSED [ 1%]` for each test, and a summary of failures at the end. */
function readPytest(file: string, status: number, output: string): Outcomes {
  const outcomes = new Map<string, Outcome>();
  for (const [, test, word] of output.matchAll(
    /^(\S+?\.py::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b(?! - )/gm,
  ))
    outcomes.set(test!, { kind: ENDINGS[word!]! });
  for (const [, test, reason] of output.matchAll(/^(?:FAILED|ERROR) (\S+?\.py::.+?) - (.*)$/gm))
    outcomes.set(test!, { kind: 'failed', reason: reason! });
  // 5: no test in it. Anything but an orderly end is told of the file itself.
  if (status !== 0 && status !== 1 && status !== 5)
    outcomes.set(file, {
      kind: 'failed',
      reason: `the runner ended with ${status}: ${output.trim().slice(-300)}`,
    });
  return outcomes;
}

export const pythonSuites: readonly Suite[] = DRIVERS.map(pythonSuite);
