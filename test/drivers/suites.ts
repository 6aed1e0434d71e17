// npx tsx test/drivers/suites.ts [--keep FOLDER] [suite …]: brings the drivers' own test suites from their package registries, runs every
// file against a real Postgres (twice, to know which tests are not steady by themselves) and through a pass-through
// Ringferry in both pool modes, and lists what ended otherwise. Ends with 0 when nothing did.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type After, lastFirst, type PostgresServer, startPostgres } from '../cluster.js';
import { startRingferry } from '../integration/harness.js';
import { nodeSuites } from './suites/node.js';
import { pythonSuites } from './suites/python.js';
import type { Outcome, Suite, Target } from './suites/suite.js';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { keep: { type: 'string' }, files: { type: 'string' } },
});
const SUITES = [...nodeSuites, ...pythonSuites];
const unknown = positionals.filter((name) => !SUITES.some((suite) => suite.name === name));
if (unknown.length > 0)
  throw new Error(`no such suite: ${unknown}; there are ${SUITES.map((suite) => suite.name).join(', ')}`);

const endings: (() => Promise<void>)[] = [];
const atEnd = lastFirst((end) => endings.push(end));
let status = 1;
try {
  const parent = values.keep ?? (await mkdtemp(join(tmpdir(), 'ringferry-suites-')));
  if (values.keep === undefined) atEnd(() => rm(parent, { recursive: true, force: true }));
  const targets = await startTargets(atEnd);
  let differences = 0;
  for (const suite of SUITES) {
    if (positionals.length > 0 && !positionals.includes(suite.name)) continue;
    differences += await compareSuite(suite, parent, targets);
  }
  status = differences === 0 ? 0 : 1;
} finally {
  for (const end of endings) await end();
}
process.exit(status);

/** Each has a server of its own, so that nothing that one run leaves behind is seen by another. */
async function startTargets(after: After): Promise<Target[]> {
  const settings = { max_connections: '300', max_locks_per_transaction: '128' };
  const servers = await startPostgres(after, { count: 4, settings });
  const [direct, again, bySession, byTransaction] = servers as [
    PostgresServer,
    PostgresServer,
    PostgresServer,
    PostgresServer,
  ];
  const at = (name: string, port: number): Target => ({
    name,
    host: '127.0.0.1',
    port,
    database: 'postgres',
  });
  const through = async (server: PostgresServer, mode: 'session' | 'transaction') => {
    const ringferry = await startRingferry(after, {
      shards: { only: server },
      database: '*',
      pool: { mode, size: 150 },
    });
    return at(`Ringferry, pool mode ${mode}`, ringferry.ports.postgres);
  };
  return [
    at('direct', direct.port),
    at('direct again', again.port),
    await through(bySession, 'session'),
    await through(byTransaction, 'transaction'),
  ];
}

/** Prints how the suite ended at each target; returns how many tests ended otherwise than on a direct connection. */
async function compareSuite(suite: Suite, parent: string, targets: readonly Target[]): Promise<number> {
  const folder = join(parent, suite.name);
  if ((await mkdir(folder, { recursive: true })) !== undefined) await suite.bring(folder);
  const files = (await suite.files(folder)).filter((file) => file.includes(values.files ?? ''));
  process.stdout.write(`\n${suite.name}: ${suite.brings}, ${files.length} files\n`);
  const results: Map<string, Outcome>[] = targets.map(() => new Map());
  for (const file of files) {
    for (const [nth, target] of targets.entries())
      for (const [test, outcome] of await suite.run(folder, file, target)) results[nth]!.set(test, outcome);
  }
  for (const [nth, target] of targets.entries())
    process.stdout.write(`  ${target.name}: ${counts(results[nth]!)}\n`);
  return report(results, targets);
}

function counts(outcomes: ReadonlyMap<string, Outcome>): string {
  const kinds = [...outcomes.values()].map(({ kind }) => kind);
  const count = (wanted: Outcome['kind']) => kinds.filter((kind) => kind === wanted).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
}

function report(results: readonly ReadonlyMap<string, Outcome>[], targets: readonly Target[]): number {
  const [direct, again, ...others] = results;
  const tests = [...new Set(results.flatMap((outcomes) => [...outcomes.keys()]))];
  const kindOf = (outcomes: ReadonlyMap<string, Outcome>, test: string) =>
    outcomes.get(test)?.kind ?? 'not run';
  let differences = 0;
  for (const test of tests) {
    const expected = kindOf(direct!, test);
    if (expected !== kindOf(again!, test)) {
      process.stdout.write(
        `  not steady: ${test} (${expected}, then ${kindOf(again!, test)} on direct connections)\n`,
      );
      continue;
    }
    for (const [nth, outcomes] of others.entries()) {
      const kind = kindOf(outcomes, test);
      if (kind === expected) continue;
      differences++;
      const reason = outcomes.get(test)?.reason ?? '';
      process.stdout.write(
        `  DIFFERS: ${test}: ${expected} directly, ${kind} with ${targets[nth + 2]!.name} ${reason}\n`,
      );
    }
  }
  process.stdout.write(`  ${tests.length} tests compared, ${differences} differences\n`);
  return differences;
}
