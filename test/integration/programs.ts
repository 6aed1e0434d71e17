import { execFile } from 'node:child_process';

export interface ProgramResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end with this text on its standard input; never rejects because of its status. */
export function runProgram(
  program: string,
  args: readonly string[],
  input = '',
  env: NodeJS.ProcessEnv = {},
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      {
        env: { ...process.env, LC_ALL: 'C', PGCONNECT_TIMEOUT: '10', ...env },
        maxBuffer: 64 << 20,
        timeout: 120_000,
      },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number' && error.signal == null) return reject(error);
        resolve({
          status: error === null ? 0 : typeof error.code === 'number' ? error.code : -1,
          stdout,
          stderr,
        });
      },
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

/** psql without headings, stopping at the first error; `lines` is its output. */
export async function psql(
  url: string,
  sql: string,
  ...args: string[]
): Promise<ProgramResult & { lines: string[] }> {
  const result = await runProgram(
    'psql',
    [url, '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...args],
    sql,
  );
  return { ...result, lines: result.stdout.split('\n').filter((line) => line !== '') };
}

export function pgbench(url: string, ...args: string[]): Promise<ProgramResult> {
  const { hostname, port, username, pathname } = new URL(url);
  return runProgram('pgbench', ['-h', hostname, '-p', port, '-U', username, ...args, pathname.slice(1)]);
}

/** The mariadb client in batch mode without headings, stopping at the first error; `lines` is its output. */
export async function mariadb(
  url: string,
  sql: string,
  ...args: string[]
): Promise<ProgramResult & { lines: string[] }> {
  const { hostname, port, username, pathname } = new URL(url);
  const server = ['-h', hostname, '-P', port, '-u', username, '--protocol=tcp', '--connect-timeout=10'];
  const result = await runProgram(
    'mariadb',
    ['--no-defaults', ...server, '--batch', '--skip-column-names', ...args, pathname.slice(1)],
    sql,
  );
  return { ...result, lines: result.stdout.split('\n').filter((line) => line !== '') };
}

export function sysbench(
  url: string,
  test: string,
  command: string,
  ...args: string[]
): Promise<ProgramResult> {
  const { hostname, port, username, pathname } = new URL(url);
  const server = [`--mysql-host=${hostname}`, `--mysql-port=${port}`, `--mysql-user=${username}`];
  return runProgram('sysbench', [
    test,
    '--db-driver=mysql',
    ...server,
    `--mysql-db=${pathname.slice(1)}`,
    ...args,
    command,
  ]);
}
