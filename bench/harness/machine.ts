import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { runProgram } from './run-program.js';

/** Where a run was made. */
export interface Machine {
  readonly date: string;
  readonly cores: number;
  readonly model: string;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly versions: readonly string[];
}

/** Programs and how they tell their version. */
const VERSIONS: readonly (readonly [program: string, option: string])[] = [
  ['pgbench', '--version'],
  ['pgbouncer', '--version'],
  ['haproxy', '-v'],
  ['sysbench', '--version'],
];

/** `servers`: the versions of the database servers that were started. */
export async function describeMachine(servers: readonly string[]): Promise<Machine> {
  const told = await Promise.all(VERSIONS.map(([program, option]) => versionOf(program, option)));
  return {
    date: new Date().toISOString().slice(0, 10),
    cores: availableParallelism(),
    model: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: /^[\d.]+/.exec(release())?.[0] ?? release(),
    versions: [`Node ${process.versions.node}`, ...servers, ...told.flat()],
  };
}

/** Name and number, from the first line of what it says; none where it is not installed. */
async function versionOf(program: string, option: string): Promise<string[]> {
  const said = await runProgram(program, [option]).catch(() => '');
  const number = /\d+\.\d+(\.\d+)?/.exec(said)?.[0];
  return number === undefined ? [] : [`${program} ${number}`];
}
