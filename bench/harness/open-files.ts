import { readFileSync } from 'node:fs';
import { asError } from '../../src/lib/errors.js';
import { runProgram } from './run-program.js';

/**
 * Lets this process, and those that it starts from now on, open so many files. Node has raised its own limit as far as it may
 * without more rights; with them the rest is up to prlimit. Returns why not, or undefined when it is so.
 */
export async function allowOpenFiles(count: number): Promise<string | undefined> {
  if (openFilesLimit() >= count) return undefined;
  const args = ['--pid', String(process.pid), `--nofile=${count}:${count}`];
  const refusal = await runProgram('prlimit', args).then(
    () => '',
    (error: unknown) => asError(error).message,
  );
  if (openFilesLimit() >= count) return undefined;
  return `a process may open ${openFilesLimit()} files here and ${count} are needed (ulimit -n): ${refusal}`;
}

/** The soft limit, that counts. */
function openFilesLimit(): number {
  const limit = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}
