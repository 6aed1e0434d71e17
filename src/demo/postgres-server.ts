import { execFile } from 'node:child_process';
import { appendFile, chown, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { asError, OperatingError } from '../lib/errors.js';
import { GuardedProcess } from './guarded-process.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import type { RunAs } from './run-as.js';
import { launchOnPort, startCopies } from './server-copies.js';

/** Enough for a shard under a migration; not durable against a crash of the machine, because these servers are thrown away. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  wal_level: 'logical',
  max_wal_senders: '40',
  max_replication_slots: '40',
  max_prepared_transactions: '64',
  max_connections: '200',
  shared_buffers: '64MB',
  max_wal_size: '512MB',
  max_parallel_workers_per_gather: '0',
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'on',
  log_min_messages: 'warning',
  log_line_prefix: '%m [%p] %a ',
};

export interface PostgresOptions {
  readonly binaries: PostgresBinaries;
  /** How many; all begin as equal copies of one fresh cluster. */
  readonly count: number;
  /** Settings of postgresql.conf on top of the ones above. */
  readonly settings?: Readonly<Record<string, string>>;
  /** How everybody but the superuser `postgres` logs in; `postgres` is always trusted. */
  readonly auth?: 'trust' | 'md5' | 'scram-sha-256';
  /** Where a fresh cluster of this version is kept for the next servers (`startCopies`). */
  readonly template?: string | undefined;
}

/** Starts Postgres servers on private folders and free ports. Their superuser is `postgres`, their encoding UTF8, their collation C. */
export async function startPostgresServers(options: PostgresOptions): Promise<PostgresServer[]> {
  return startCopies(
    {
      folderPrefix: 'ringferry-pg-',
      initialize: (folder, runAs) => initialize(folder, options.binaries, runAs),
      copy: copyCluster,
      configure: (folder) => configure(folder, options),
      serverIn: (folder, _, runAs) => new PostgresServer(folder, options.binaries.folder, runAs),
    },
    options.count,
    options.template,
  );
}

/** One running Postgres. `stop` is for good; `crash` and `start` again keep folder and port. */
export class PostgresServer {
  readonly folder: string;
  readonly #program: string;
  readonly #runAs: RunAs | undefined;
  #port = 0;
  #process: GuardedProcess | undefined;

  constructor(folder: string, binaries: string, runAs: RunAs | undefined) {
    this.folder = folder;
    this.#program = join(binaries, 'postgres');
    this.#runAs = runAs;
  }

  get port(): number {
    return this.#port;
  }

  /** The postmaster's process id. */
  get processId(): number {
    return this.#process?.processId ?? 0;
  }

  url(database = 'postgres', user = 'postgres'): string {
    return `postgres://${user}@127.0.0.1:${this.#port}/${database}`;
  }

  /** Starts it, on the same port as before if it ran before; resolves when it takes connections. */
  async start(): Promise<void> {
    this.#port = await launchOnPort('Postgres', this.#port, /Address already in use/, (port) =>
      this.#launch(port),
    );
  }

  /** Ends it at once, as a power cut would; the folder stays and `start` recovers it. */
  async crash(): Promise<void> {
    await this.#process?.end('SIGQUIT');
  }

  /** Freezes it; everyone who talks to it waits. Signals reach one process only, so each backend is frozen too. */
  async freeze(): Promise<void> {
    await this.#signalAll('SIGSTOP');
  }

  async thaw(): Promise<void> {
    await this.#signalAll('SIGCONT');
  }

  /** Ends it at once and removes its folder. */
  async stop(): Promise<void> {
    await this.crash();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** The end of the server's own log. */
  async log(): Promise<string> {
    return (await readFile(join(this.folder, 'server.log'), 'utf8').catch(() => '')).slice(-4000);
  }

  /** Returns why it did not start, or undefined. */
  async #launch(port: number): Promise<string | undefined> {
    const data = join(this.folder, 'data');
    // A crashed server leaves this behind; only the new one's own words count below.
    await rm(join(data, 'postmaster.pid'), { force: true });
    const command = [this.#program, '-D', data, '-p', String(port)] as const;
    this.#process = await GuardedProcess.start([...command], {
      folder: this.folder,
      logFile: 'server.log',
      signal: 'QUIT',
      runAs: this.#runAs,
    });
    return this.#untilReady(this.#process);
  }

  async #untilReady(started: GuardedProcess): Promise<string | undefined> {
    const deadline = Date.now() + 60_000;
    while (Date.now() < deadline) {
      if (started.hasEnded) return (await this.log()).trim() || 'it ended without a word';
      const status = await readFile(join(this.folder, 'data', 'postmaster.pid'), 'utf8').catch(() => '');
      if (status.split('\n')[7]?.trim() === 'ready') return undefined;
      await sleep(10);
    }
    await this.crash();
    return `it was not ready within 60 s: ${(await this.log()).trim()}`;
  }

  async #signalAll(signal: NodeJS.Signals): Promise<void> {
    for (const id of [this.processId, ...(await this.#backends())]) {
      try {
        process.kill(id, signal);
      } catch {
        // A backend that has ended in the meantime.
      }
    }
  }

  async #backends(): Promise<number[]> {
    const path = `/proc/${this.processId}/task/${this.processId}/children`;
    return (await readFile(path, 'utf8').catch(() => '')).split(' ').filter(Boolean).map(Number);
  }
}

const run = promisify(execFile);

async function initialize(
  folder: string,
  binaries: PostgresBinaries,
  runAs: RunAs | undefined,
): Promise<void> {
  const data = join(folder, 'data');
  const program = join(binaries.folder, 'initdb');
  const args = [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '--no-sync',
    '--no-instructions',
  ];
  await run(program, args, { ...runAs, cwd: folder, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } }).catch(
    (error: unknown) => {
      throw new OperatingError('internal', `initdb failed: ${asError(error).message}`, { cause: error });
    },
  );
}

async function configure(folder: string, options: PostgresOptions): Promise<void> {
  const data = join(folder, 'data');
  const settings = Object.entries({ ...SETTINGS, ...options.settings });
  await appendFile(
    join(data, 'postgresql.conf'),
    settings.map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`).join(''),
  );
  const auth = options.auth ?? 'trust';
  if (auth === 'trust') return;
  const rules = [
    'host all postgres 127.0.0.1/32 trust',
    'host replication postgres 127.0.0.1/32 trust',
    `host all all 127.0.0.1/32 ${auth}`,
  ];
  await writeFile(join(data, 'pg_hba.conf'), `${rules.join('\n')}\n`);
}

async function copyCluster(from: string, to: string, runAs: RunAs | undefined): Promise<void> {
  if (process.platform === 'win32') return cp(join(from, 'data'), join(to, 'data'), { recursive: true });
  await mkdir(join(to, 'data'), { mode: 0o700, recursive: true });
  if (runAs !== undefined) await chown(join(to, 'data'), runAs.uid, runAs.gid);
  await run('cp', ['-R', `${join(from, 'data')}/.`, join(to, 'data')], { ...runAs, cwd: to });
}
