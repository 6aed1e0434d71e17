import { readFileSync, writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { buildWhenStale } from '../scripts/build-when-stale.js';
import { bringPrograms, howToInstall } from '../scripts/programs.js';
import type { RunOptions } from './harness/bench.js';
import { describeMachine, type Machine } from './harness/machine.js';
import { markdownOf, withPart } from './harness/markdown.js';
import type { ScenarioResult } from './harness/results.js';
import { runScenario, type Tell } from './harness/run-scenario.js';
import type { Scenario } from './harness/scenario.js';
import { Servers } from './harness/servers.js';
import { textOf } from './harness/text.js';
import { SCENARIOS } from './scenarios/all.js';

/** npm run bench: Ringferry beside PgBouncer and HAProxy on this machine; writes docs/performance.md. */
const PAGE = 'docs/performance.md';

interface Options {
  readonly json?: true;
  readonly quick?: true;
  readonly list?: true;
  readonly docs: boolean;
  readonly rounds?: number;
  readonly seconds?: number;
}

const command = new Command('npm run bench --')
  .description('Ringferry beside PgBouncer and HAProxy, in turns, on servers of its own')
  .argument('[scenario...]', 'which to run; all when none is named')
  .option('--list', 'say which there are')
  .option('--quick', 'short rounds, under three minutes in all; nothing is written')
  .option('--rounds <n>', 'how often each contender is measured', wholeNumber)
  .option('--seconds <n>', 'how long each load runs', wholeNumber)
  .option('--json', 'print the results as JSON')
  .option('--no-docs', `leave ${PAGE} alone`)
  .action((names: string[], options: Options) => main(names, options));

async function main(names: readonly string[], options: Options): Promise<void> {
  if (options.list === true) return list();
  const unknown = names.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown !== undefined) command.error(`There is no scenario "${unknown}"; --list says which there are.`);
  if (process.platform !== 'linux')
    command.error('The time and memory of a proxy are read from /proc: run it on Linux.');
  const chosen = SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name));
  const tell: Tell = (line) => void process.stderr.write(`${line}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  buildWhenStale(tell);
  const run = runOptions(options);
  const missing = bringPrograms([...new Set(chosen.flatMap(({ programs }) => programs))]);
  const servers = new Servers(run);
  const results = await runAll(chosen, run, servers, missing, tell);
  const machine = await describeMachine(servers.versions);
  if (options.json === true)
    process.stdout.write(`${JSON.stringify({ machine, run, results }, undefined, 2)}\n`);
  else process.stdout.write(results.map(textOf).join('\n'));
  if (options.docs && options.quick !== true) writePage(results, machine, run);
  if (results.some(({ outcome }) => outcome === 'failed')) process.exitCode = 1;
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number.');
}

function list(): void {
  for (const { name, title } of SCENARIOS) process.stdout.write(`${name.padEnd(10)} ${title}\n`);
}

function runOptions({ quick, rounds, seconds }: Options): RunOptions {
  const isQuick = quick === true;
  return {
    isQuick,
    rounds: rounds ?? (isQuick ? 1 : 5),
    seconds: seconds ?? (isQuick ? 1 : 4),
    scale: isQuick ? 1 : 10,
  };
}

async function runAll(
  scenarios: readonly Scenario[],
  options: RunOptions,
  servers: Servers,
  missing: readonly string[],
  tell: Tell,
): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  try {
    for (const scenario of scenarios) {
      tell(`${scenario.name}: ${scenario.title}`);
      const lacking = scenario.programs.filter((program) => missing.includes(program));
      if (lacking.length > 0) results.push(notInstalled(scenario, lacking));
      else results.push(await runScenario(scenario, options, servers, tell));
      const { outcome, reason, seconds } = results.at(-1)!;
      tell(`  ${outcome} in ${seconds.toFixed(1)} s${reason === undefined ? '' : `: ${reason}`}`);
    }
  } finally {
    await servers.end();
  }
  return results;
}

function notInstalled({ name, title, about }: Scenario, lacking: readonly string[]): ScenarioResult {
  const reason = howToInstall(lacking, 'This benchmark drives');
  return { name, title, about, outcome: 'failed', reason, seconds: 0, notes: [], comparisons: [] };
}

function writePage(results: readonly ScenarioResult[], machine: Machine, run: RunOptions): void {
  const how = `loads of ${run.seconds} s, pgbench at scale ${run.scale}`;
  const page = results.reduce(
    (document, result) => withPart(document, result.name, markdownOf(result, machine, how)),
    readFileSync(PAGE, 'utf8'),
  );
  writeFileSync(PAGE, page);
}

process.chdir(new URL('..', import.meta.url).pathname);
// Each process that is started listens for our end, so that it does not outlive us.
process.setMaxListeners(200);
await command.parseAsync();
