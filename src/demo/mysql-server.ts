import { execFile } from 'node:child_process';
import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { GuardedProcess } from './guarded-process.js';
import type { RunAs } from './run-as.js';
import { launchOnPort, startCopies } from './server-copies.js';

/** Enough for a shard under a migration; not durable against a crash of the machine, because these servers are thrown away. */
const SETTINGS: Readonly<Record<string, string>> = {
  'bind-address': '127.0.0.1',
  'skip-name-resolve': '1',
  'log-bin': 'binlog',
  'binlog-format': 'ROW',
  'binlog-row-image': 'FULL',
  'binlog-row-metadata': 'FULL',
  'character-set-server': 'utf8mb4',
  'max-connections': '300',
  'max-allowed-packet': '64M',
  'innodb-buffer-pool-size': '64M',
  'innodb-flush-log-at-trx-commit': '2',
  'innodb-print-all-deadlocks': '1',
  'sync-binlog': '0',
  'performance-schema': '0',
};

/** A server's program on this machine: what MariaDB and MySQL differ in. */
export interface MysqlInstallation {
  readonly title: string;
  /** Starts the server when its options are put behind it. */
  readonly command: readonly [string, ...string[]];
  /** Options without their dashes, beside those that all have. */
  settings(serverId: number): Readonly<Record<string, string>>;
  /** Makes `data` in the folder, with a superuser `root` that has no password. */
  initialize(folder: string, runAs: RunAs | undefined): Promise<void>;
}

export interface MysqlServersOptions {
  /** How many; all begin as equal copies of one fresh installation, with a server id of their own. */
  readonly count: number;
  /** Options without their dashes, on top of the installation's. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where a fresh installation is kept for the next servers (`startCopies`). */
  readonly template?: string | undefined;
}

/** Starts servers on private folders and free ports. */
export async function startMysqlServers(
  installation: MysqlInstallation,
  { count, settings = {}, template }: MysqlServersOptions,
): Promise<MysqlServer[]> {
  return startCopies(
    {
      folderPrefix: 'ringferry-my-',
      initialize: (folder, runAs) => installation.initialize(folder, runAs),
      copy: copyInstallation,
      serverIn: (folder, index, runAs) => new MysqlServer(folder, index + 1, installation, settings, runAs),
    },
    count,
    template,
  );
}

/** One running server. `stop` is for good; `crash` and `start` again keep folder and port. */
export class MysqlServer {
  readonly folder: string;
  readonly serverId: number;
  readonly #installation: MysqlInstallation;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #runAs: RunAs | undefined;
  #port = 0;
  #process: GuardedProcess | undefined;

  constructor(
    folder: string,
    serverId: number,
    installation: MysqlInstallation,
    settings: Readonly<Record<string, string>>,
    runAs: RunAs | undefined,
  ) {
    this.folder = folder;
    this.serverId = serverId;
    this.#installation = installation;
    this.#settings = settings;
    this.#runAs = runAs;
  }

  get port(): number {
    return this.#port;
  }

  get processId(): number {
    return this.#process?.processId ?? 0;
  }

  url(database = 'mysql', user = 'root'): string {
    return `mysql://${user}@127.0.0.1:${this.#port}/${database}`;
  }

  /** Starts it, on the same port as before if it ran before; resolves when it takes connections. */
  async start(): Promise<void> {
    const { title } = this.#installation;
    this.#port = await launchOnPort(title, this.#port, /already in use/i, (port) => this.#launch(port));
  }

  /** Ends it at once, as a power cut would; the folder stays and `start` recovers it. */
  async crash(): Promise<void> {
    await this.#process?.end('SIGKILL');
  }

  /** Freezes it; everyone who talks to it waits. */
  freeze(): void {
    this.#process?.signal('SIGSTOP');
  }

  thaw(): void {
    this.#process?.signal('SIGCONT');
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
    const settings = { ...SETTINGS, ...this.#installation.settings(this.serverId), ...this.#settings };
    this.#process = await GuardedProcess.start(
      [
        ...this.#installation.command,
        `--datadir=${join(this.folder, 'data')}`,
        `--socket=${join(this.folder, 'socket')}`,
        `--pid-file=${join(this.folder, 'pid')}`,
        // A server that starts removes other servers' temporary tables from a folder that they share.
        `--tmpdir=${this.folder}`,
        `--port=${port}`,
        `--server-id=${this.serverId}`,
        ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
      ],
      { folder: this.folder, logFile: 'server.log', signal: 'KILL', runAs: this.#runAs },
    );
    return this.#untilReady(this.#process);
  }

  async #untilReady(started: GuardedProcess): Promise<string | undefined> {
    const deadline = Date.now() + 60_000;
    while (Date.now() < deadline) {
      const log = await this.log();
      if (started.hasEnded) return log.trim() || 'it ended without a word';
      if (log.includes('ready for connections')) return undefined;
      await sleep(10);
    }
    await this.crash();
    return `it was not ready within 60 s: ${(await this.log()).trim()}`;
  }
}

const run = promisify(execFile);

async function copyInstallation(from: string, to: string, runAs: RunAs | undefined): Promise<void> {
  if (process.platform === 'win32') await cp(join(from, 'data'), join(to, 'data'), { recursive: true });
  else await run('cp', ['-R', join(from, 'data'), to], { ...runAs, cwd: to });
  // A MySQL has its name in it, which must be another for each.
  await rm(join(to, 'data/auto.cnf'), { force: true });
}
