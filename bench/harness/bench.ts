import { rmSync } from 'node:fs';
import { chmod, chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unprivilegedUser } from '../../src/demo/run-as.js';
import type { Servers } from './servers.js';

/** How long and how often is measured. */
export interface RunOptions {
  readonly rounds: number;
  /** Of one load. */
  readonly seconds: number;
  /** Of pgbench: 100,000 accounts each. */
  readonly scale: number;
  readonly isQuick: boolean;
}

/** What a scenario is given: how to measure, the servers that all scenarios share, and where to register its endings. */
export class Bench {
  readonly options: RunOptions;
  readonly servers: Servers;
  readonly #endings: (() => Promise<void>)[] = [];
  #folder: Promise<string> | undefined;

  constructor(options: RunOptions, servers: Servers) {
    this.options = options;
    this.servers = servers;
  }

  /** What is registered last is done first. */
  readonly atEnd = (end: () => Promise<void>): void => {
    this.#endings.push(end);
  };

  /** A private folder that a program can use which refuses to run as root; removed at the end, or when we are interrupted. */
  async makeFolder(name: string): Promise<string> {
    this.#folder ??= this.#makeRoot();
    const folder = await mkdtemp(join(await this.#folder, `${name}-`));
    const runAs = unprivilegedUser();
    if (runAs !== undefined) await chown(folder, runAs.uid, runAs.gid);
    return folder;
  }

  async end(): Promise<void> {
    for (let end = this.#endings.pop(); end !== undefined; end = this.#endings.pop()) await end();
  }

  async #makeRoot(): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), 'ringferry-bench-'));
    const remove = (): void => rmSync(root, { recursive: true, force: true, maxRetries: 3 });
    process.once('exit', remove);
    // The first thing that is registered is the last that is done: whoever writes there has ended.
    this.#endings.unshift(async () => {
      process.off('exit', remove);
      remove();
    });
    await chmod(root, 0o711);
    return root;
  }
}
