import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { OperatingError } from '../lib/errors.js';
import { GuardedProcess } from './guarded-process.js';

export interface ProxyPorts {
  readonly postgres: number;
  /** Where MySQL clients connect, if they can. */
  readonly mysql?: number;
  readonly admin: number;
  readonly http: number;
}

export interface ProxyOptions {
  /** A private folder for configuration, state and log. */
  readonly folder: string;
  readonly ports: ProxyPorts;
  /** The configuration's other parts, as in the YAML file. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** How to run the command line that this process was started with: `node … dist/cli/main.js`. */
export function ownCommand(): [string, ...string[]] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? ''];
}

/** `ringferry serve` as a process of its own, with a configuration file as a user would write it. */
export class ProxyProcess {
  readonly configPath: string;
  readonly ports: ProxyPorts;
  readonly #options: ProxyOptions;
  readonly #command: readonly [string, ...string[]];
  #process: GuardedProcess | undefined;

  constructor(options: ProxyOptions, command: readonly [string, ...string[]] = ownCommand()) {
    this.#options = options;
    this.#command = command;
    this.ports = options.ports;
    this.configPath = join(options.folder, 'ringferry.yaml');
  }

  get processId(): number {
    return this.#process?.processId ?? 0;
  }

  url(database: string, user: string, protocol: 'postgres' | 'mysql' = 'postgres'): string {
    return `${protocol}://${user}@127.0.0.1:${this.ports[protocol]}/${database}`;
  }

  /** Resolves when it is ready for clients; may be called again after it has ended. */
  async start(env: NodeJS.ProcessEnv = {}): Promise<void> {
    const { folder, ports, config } = this.#options;
    const listen = Object.fromEntries(
      Object.entries(ports).map(([role, port]) => [role, `127.0.0.1:${port}`]),
    );
    const store = { kind: 'file', path: join(folder, 'state') };
    await writeFile(this.configPath, stringify({ listen, store, ...config }));
    this.#process = await GuardedProcess.start([...this.#command, 'serve', '-c', this.configPath], {
      folder,
      logFile: 'ringferry.log',
      signal: 'KILL',
      env: { ...process.env, ...env },
    });
    await this.#untilReady(this.#process);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#process?.end(signal);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.signal(signal);
  }

  get ended(): Promise<void> {
    return this.#process?.ended ?? Promise.resolve();
  }

  /** What its HTTP port answers, as JSON. */
  async ask<Answer>(path: string): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.ports.http}${path}`, {
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok)
      throw new OperatingError(
        'internal',
        `${path} was answered with ${response.status}: ${await response.text()}`,
      );
    return (await response.json()) as Answer;
  }

  /** The end of its log. */
  async log(): Promise<string> {
    return (await readFile(join(this.#options.folder, 'ringferry.log'), 'utf8').catch(() => '')).slice(-8000);
  }

  async #untilReady(started: GuardedProcess): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (Date.now() < deadline && !started.hasEnded) {
      const isReady = await fetch(`http://127.0.0.1:${this.ports.http}/readyz`).then(
        (response) => response.ok,
        () => false,
      );
      if (isReady) return;
      await sleep(30);
    }
    throw new OperatingError('internal', `ringferry serve did not become ready:\n${await this.log()}`);
  }
}
