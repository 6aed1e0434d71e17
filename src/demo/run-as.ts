import { readFileSync } from 'node:fs';
import { OperatingError } from '../lib/errors.js';

/** A user of the system to run a child process as. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Postgres refuses to run as root: who it runs as instead (`postgres`, else `nobody`), or undefined when we are not root
 * and it runs as ourselves.
 */
export function unprivilegedUser(): RunAs | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new OperatingError(
    'internal',
    'Postgres refuses to run as root, and there is no user "postgres" or "nobody" to run it as',
    {
      hint: 'Run as an ordinary user.',
    },
  );
}
