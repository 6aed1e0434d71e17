import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testFileArguments } from '../child-program.js';
import { runProgram } from './programs.js';

/*
 * A little of the suite, run again as RINGFERRY_TEST_WORKERS and RINGFERRY_TEST_PIPELINE have it: what a test takes for granted must
 * depend neither on one process nor on shared backends. README.md says how to run all of it so.
 */
const AGAIN = [
  { env: { RINGFERRY_TEST_WORKERS: '2' }, file: 'test/integration/cancel.test' },
  { env: { RINGFERRY_TEST_WORKERS: '2' }, file: 'test/integration/mysql-sessions.test' },
  { env: { RINGFERRY_TEST_PIPELINE: '1' }, file: 'test/integration/psql.test' },
] as const;

for (const { env, file } of AGAIN) {
  const [[name, value]] = Object.entries(env) as [[string, string]];
  test(`${name}=${value} ${file}.ts`, async () => {
    // Without the variable that would make it report to this run.
    const run = await runProgram(process.execPath, testFileArguments(file), '', {
      ...env,
      NODE_TEST_CONTEXT: undefined,
    });
    assert.equal(run.status, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /^ℹ pass [1-9]/m);
  });
}
