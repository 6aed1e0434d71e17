import { runProgram } from './run-program.js';
import type { Sample } from './scenario.js';
import { type Target, underLoad } from './target.js';

export interface SysbenchLoad {
  readonly test: 'oltp_point_select' | 'oltp_read_write';
  readonly threads: number;
  readonly seconds: number;
  readonly rows: number;
}

function optionsOf({ test, rows }: Pick<SysbenchLoad, 'test' | 'rows'>): string[] {
  return [test, '--tables=1', `--table-size=${rows}`, '--auto_inc=off', '--rand-type=uniform'];
}

function loadOf(load: SysbenchLoad): string[] {
  return [...optionsOf(load), `--threads=${load.threads}`, `--time=${load.seconds}`];
}

/** The command line for the report. */
export function commandOf(load: SysbenchLoad): string {
  return `sysbench ${loadOf(load).join(' ')} run`;
}

function serverOf({ port, database }: Target): string[] {
  return [
    '--db-driver=mysql',
    '--mysql-host=127.0.0.1',
    `--mysql-port=${port}`,
    '--mysql-user=root',
    `--mysql-db=${database}`,
  ];
}

/** Makes the table `sbtest1` and its rows. */
export async function prepareSysbench(target: Target, rows: number): Promise<void> {
  const args = [...optionsOf({ test: 'oltp_read_write', rows }), ...serverOf(target), 'prepare'];
  await runProgram('sysbench', args, { seconds: 120 });
}

/** Transactions per second, with the proxy's time per statement. Rejects when nothing was done or anything failed. */
export function sysbenchUnderLoad(target: Target, load: SysbenchLoad): Promise<Sample> {
  return underLoad(target, async () => {
    const args = [...loadOf(load), ...serverOf(target), 'run'];
    const out = await runProgram('sysbench', args, { seconds: load.seconds });
    const [, transactions, tps] = /transactions: +(\d+) +\(([\d.]+) per sec/.exec(out) ?? [];
    const statements = Number(/queries: +(\d+) /.exec(out)?.[1]);
    // Two of the load's own transactions met in a deadlock; sysbench does them again.
    const deadlocks = Number(/ignored errors: +(\d+) /.exec(out)?.[1]);
    return {
      value: Number(tps),
      also: { 'p95, ms': Number(/95th percentile: +([\d.]+)/.exec(out)?.[1]), deadlocks },
      statements,
      transactions: Number(transactions),
      connections: load.threads,
    };
  });
}
