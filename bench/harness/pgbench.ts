import { runProgram } from './run-program.js';
import type { Sample } from './scenario.js';
import { type Target, underLoad } from './target.js';

export interface PgbenchLoad {
  /** How statements are sent (pgbench -M). */
  readonly mode?: 'simple' | 'extended' | 'prepared';
  readonly clients: number;
  readonly seconds: number;
  /** `select`: -S. `tpcb`: the built-in TPC-B-like. Otherwise a file with a script of one statement. */
  readonly script: 'select' | 'tpcb' | { readonly file: string; readonly shown: string };
  /** A connection for each transaction (pgbench -C). */
  readonly reconnects?: boolean;
}

export interface PgbenchAs {
  readonly user?: string;
  /** libpq's environment: PGPASSWORD, PGSSLMODE. */
  readonly env?: Readonly<Record<string, string>>;
  /** More options, such as -l. */
  readonly args?: readonly string[];
}

export interface PgbenchResult {
  readonly transactions: number;
  readonly tps: number;
}

/** Rows of pgbench_accounts for each unit of scale (pgbench's manual, -s). */
export const ACCOUNTS_PER_SCALE = 100_000;

/** BEGIN, three UPDATE, SELECT, INSERT, END (pgbench's manual, "What is the transaction actually performed"). */
const STATEMENTS = { select: 1, tpcb: 7 };

function argumentsOf(load: PgbenchLoad): string[] {
  const script = load.script === 'select' ? ['-S'] : load.script === 'tpcb' ? [] : ['-f', load.script.file];
  return [
    '-n',
    ...['-M', load.mode ?? 'simple', '-c', String(load.clients), '-j', '1', '-T', String(load.seconds)],
    ...(load.reconnects === true ? ['-C'] : []),
    ...script,
  ];
}

/** The command line for the report. */
export function commandOf(load: PgbenchLoad): string {
  const { script } = load;
  const shown = typeof script === 'string' ? script : { file: `(${script.shown})`, shown: '' };
  return `pgbench ${argumentsOf({ ...load, script: shown }).join(' ')}`;
}

/** One run. Rejects unless transactions were done and none failed. */
export async function runPgbench(
  target: Target,
  load: PgbenchLoad,
  as: PgbenchAs = {},
): Promise<PgbenchResult> {
  const where = ['-h', '127.0.0.1', '-p', String(target.port), '-U', as.user ?? 'postgres'];
  const out = await runProgram(
    'pgbench',
    [...where, ...argumentsOf(load), ...(as.args ?? []), target.database],
    { seconds: load.seconds, env: as.env ?? {} },
  );
  const transactions = Number(/number of transactions actually processed: (\d+)/.exec(out)?.[1]);
  // Versions before 15 do not count failures: they end.
  const failed = Number(/number of failed transactions: (\d+)/.exec(out)?.[1] ?? 0);
  const tps = Number(/tps = ([\d.]+)/.exec(out)?.[1]);
  if (!(transactions > 0) || !(tps > 0) || failed > 0)
    throw new Error(`pgbench did ${transactions} transactions, and ${failed} failed`);
  return { transactions, tps };
}

/** Transactions per second of a load, with the proxy's time per statement. */
export function tpsUnderLoad(target: Target, load: PgbenchLoad, as: PgbenchAs = {}): Promise<Sample> {
  return underLoad(target, async () => {
    const { transactions, tps } = await runPgbench(target, load, as);
    const connections = load.reconnects === true ? transactions : load.clients;
    return { value: tps, ...countsOf(load, transactions), connections };
  });
}

/** What so many transactions are in statements. */
export function countsOf(load: PgbenchLoad, transactions: number) {
  const each = typeof load.script === 'string' ? STATEMENTS[load.script] : 1;
  return { transactions, statements: transactions * each };
}

/** Makes pgbench's tables and rows; `steps` as in pgbench -I. */
export async function initialize(
  port: number,
  database: string,
  scale: number,
  steps = 'dtgvp',
): Promise<void> {
  const args = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-q', '-i'];
  await runProgram('pgbench', [...args, '-I', steps, '-s', String(scale), database], { seconds: 300 });
}
