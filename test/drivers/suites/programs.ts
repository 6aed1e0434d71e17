import { execFile } from 'node:child_process';

export interface Ended {
  /** The exit status; -1 when it was ended for taking too long. */
  readonly status: number;
  readonly output: string;
}

/** Runs a program of somebody else's to its end, or ends it after `limitMs`; never rejects because of its status. */
export function runToEnd(
  program: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv; readonly limitMs: number },
): Promise<Ended> {
  const { cwd, env, limitMs } = options;
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      {
        cwd,
        env: { ...process.env, TZ: 'UTC', ...env },
        timeout: limitMs,
        killSignal: 'SIGKILL',
        maxBuffer: 256 << 20,
      },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ status, output: `${stdout}\n${stderr}` });
      },
    );
    child.stdin?.end();
  });
}

/** As `runToEnd`, but anything but success is an error: for bringing packages. */
export async function mustRun(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { status, output } = await runToEnd(program, args, { cwd, limitMs: 600_000 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${output.trim()}`);
  return output;
}
