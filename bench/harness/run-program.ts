import { execFile } from 'node:child_process';

/** How much longer than expected a program may take before it counts as hung. */
const GRACE_MS = 60_000;

export interface ProgramOptions {
  readonly seconds?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly folder?: string;
}

/** Of programs that speak English and may lie where only root looks for them. */
export function environment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH']}:/usr/sbin:/usr/local/sbin` };
}

/** Runs a program to its end and returns its standard output; rejects with what it said when it fails or hangs. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      {
        env: { ...environment(), ...options.env },
        ...(options.folder === undefined ? {} : { cwd: options.folder }),
        maxBuffer: 64 << 20,
        timeout: (options.seconds ?? 0) * 1000 + GRACE_MS,
        killSignal: 'SIGKILL',
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const said = stderr.trim().split('\n').slice(-3).join('; ');
        const end =
          error.killed === true ? 'did not end in time' : `ended with ${error.code ?? error.signal}`;
        reject(new Error(`${program} ${end}: ${said}`, { cause: error }));
      },
    );
  });
}
