import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench } from './bench.js';
import { countsOf, type PgbenchLoad, runPgbench } from './pgbench.js';
import type { Sample } from './scenario.js';
import { latencyFigures } from './statistics.js';
import { type Target, underLoad } from './target.js';

/** Median latency of a load in µs, as pgbench logs each transaction (-l), with the 99th percentile beside it. */
export async function latencyUnderLoad(bench: Bench, target: Target, load: PgbenchLoad): Promise<Sample> {
  const folder = await bench.makeFolder('latency');
  return underLoad(target, async () => {
    const args = ['-l', `--log-prefix=${join(folder, 'log')}`];
    const { transactions } = await runPgbench(target, load, { args });
    return {
      ...latencyFigures(await latenciesIn(folder)),
      ...countsOf(load, transactions),
      connections: load.clients,
    };
  });
}

/** client, transaction, **time in µs**, script, end: seconds and µs (pgbench's manual, "Per-Transaction Logging"). */
async function latenciesIn(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.split(' ')[2])),
  );
}
