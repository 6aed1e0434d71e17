import type { Io } from '../../src/cli/io.js';
import { runCommandLine } from '../../src/cli/run.js';

/** What one command line wrote, and how it ended. */
export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface FakeIoOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly stdin?: string;
  readonly isTerminal?: boolean;
  /** Told each piece as it is written. */
  readonly onOut?: (text: string) => void;
}

/** Runs a command line in this process. */
export async function ringferry(words: readonly string[], options: FakeIoOptions = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const io: Io = {
    out: (text) => {
      out += text;
      options.onOut?.(text);
    },
    err: (text) => {
      err += text;
    },
    isTerminal: options.isTerminal === true,
    columns: 120,
    env: options.env ?? {},
    cwd: options.cwd ?? '/nowhere',
    readStdin: async () => options.stdin ?? '',
    isStdinFile: options.stdin !== undefined,
  };
  const status = await runCommandLine(words, io, { on: () => {} });
  return { status, out, err };
}
