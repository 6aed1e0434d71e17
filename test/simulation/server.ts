import type { MigrationEngine } from '../../src/migration/engine.js';
import { Migrations } from '../../src/migration/migrations.js';
import type { Keyspace } from '../../src/topology/keyspace.js';
import { openSnapshot } from '../../src/topology/opening.js';
import type { StoredTopology } from '../../src/topology/store.js';
import { decodeTopology } from '../../src/topology/stored-json.js';
import { Topology } from '../../src/topology/topology.js';
import { SimDatabase } from './database.js';
import { type Faults, type Life, NEVER, SimEngine } from './engine.js';
import { type Disk, SimStore } from './store.js';
import { SHOP } from './tables.js';
import type { VirtualTime } from './virtual-time.js';

export const CONFIGURED = ['a', 'b', 'c'];
const ALL = [...CONFIGURED, 'd'];

/** What a run is made of; the defaults are a calm day. */
export interface ServerOptions {
  readonly faults?: Faults;
  /** The process dies at the nth time (1, 2, …) that it comes to this stop point. */
  readonly crashAt?: { readonly point: string; readonly nth: number };
  /** For mutation tests: takes a guard away. */
  readonly weaken?: {
    engine?(engine: MigrationEngine): MigrationEngine;
    topology?(topology: Topology): void;
  };
  /** Points per shard on the first ring; a shard that joins or a rebalance makes 8. */
  readonly firstVnodes?: number;
}

export interface ProxyProcess {
  readonly life: Life;
  readonly topology: Topology;
  readonly migrations: Migrations;
  readonly store: SimStore;
}

const RESTART_MS = 200;

/** Databases and a disk that last, and a proxy process that may die and is started again. */
export class SimServer {
  readonly time: VirtualTime;
  readonly databases = new Map(ALL.map((name) => [name, new SimDatabase(name)]));
  readonly disk: Disk = { topology: undefined, migrations: new Map(), decisions: new Set() };
  readonly #options: ServerOptions;
  readonly #visits = new Map<string, number>();
  /** What `stored` has decoded, until the disk says something else. */
  #read: { readonly text: string; readonly topology: StoredTopology } | undefined;
  keyspace: Keyspace = SHOP;
  proxy: ProxyProcess | undefined;
  crashes = 0;
  /** Stop points that were reached. */
  readonly visited: string[] = [];
  readonly warnings: string[] = [];
  /** Acknowledged writes that were not on both owners though the topology promised it. */
  readonly mirrorMisses: string[] = [];
  #ids = 0;
  #onUp: (() => void)[] = [];
  #onDown: (() => void)[] = [];

  constructor(time: VirtualTime, options: ServerOptions = {}) {
    this.time = time;
    this.#options = options;
  }

  async start(): Promise<void> {
    const life: Life = { isOver: false };
    const faults = this.#options.faults ?? { failing: 0, hanging: 0 };
    const store = new SimStore(this.disk, this.time, life, faults);
    const topology = new Topology(await this.#retry(() => openSnapshot(store, this.#config())));
    this.#options.weaken?.topology?.(topology);
    const engine = new SimEngine(this.databases, this.time, life, faults);
    const migrations = new Migrations({
      topology,
      store,
      engine: this.#options.weaken?.engine?.(engine) ?? engine,
      keyspace: () => this.keyspace,
      shardUrl: (shard) => (CONFIGURED.includes(shard) ? `postgres://${shard}/shop` : undefined),
      config: { parallel: 2, drainTimeoutMs: 500, mirrorTimeoutMs: 1_000, maxLagBytes: 100_000 },
      vnodes: 8,
      log: this.#log() as never,
      clock: {
        now: () => this.time.now(),
        sleep: async (ms, signal) => {
          await this.time.sleep(ms, signal);
          if (life.isOver) return NEVER;
        },
      },
      newId: () => `m${++this.#ids}`,
      pausePoint: (name) => this.#pausePoint(life, name),
    });
    await this.#recoverPrepared();
    await this.#retry(() => migrations.resumeAll());
    if (life.isOver) return;
    this.proxy = { life, topology, migrations, store };
    this.#life = life;
    for (const up of this.#onUp.splice(0)) up();
  }

  #life: Life | undefined;

  /** kill -9, and a new process a moment later. */
  crash(): void {
    this.crashes++;
    this.proxy = undefined;
    if (this.#life !== undefined) this.#life.isOver = true;
    for (const database of this.databases.values()) database.loseConnections(this.time);
    for (const down of this.#onDown.splice(0)) down();
    void this.time.sleep(RESTART_MS).then(() => this.start());
  }

  /** The running process; waits for it. */
  async up(): Promise<ProxyProcess> {
    while (this.proxy === undefined) await new Promise<void>((resolve) => this.#onUp.push(resolve));
    return this.proxy;
  }

  /** Rejects when the process that runs now dies. */
  death(): Promise<never> {
    return new Promise((_, reject) => this.#onDown.push(() => reject(new Error('connection lost'))));
  }

  /** Who owns what, as a restarted process would read it. */
  get stored(): StoredTopology {
    const text = this.disk.topology!;
    if (this.#read?.text !== text) this.#read = { text, topology: decodeTopology('topology.json', text) };
    return this.#read.topology;
  }

  #pausePoint(life: Life, name: string): Promise<void> {
    if (life.isOver) return NEVER;
    this.visited.push(name);
    const visits = (this.#visits.get(name) ?? 0) + 1;
    this.#visits.set(name, visits);
    const { crashAt } = this.#options;
    if (crashAt?.point !== name || crashAt.nth !== visits) return Promise.resolve();
    life.isOver = true;
    this.crash();
    return NEVER;
  }

  async #recoverPrepared(): Promise<void> {
    for (const database of this.databases.values()) {
      for (const [gid, transaction] of [...database.prepared]) {
        database.prepared.delete(gid);
        if (this.disk.decisions.has(gid)) transaction.commit();
        else transaction.rollback();
      }
    }
    this.disk.decisions.clear();
  }

  async #retry<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await act();
      } catch (thrown) {
        this.warnings.push(`start: ${String(thrown)}`);
        await this.time.sleep(50);
      }
    }
  }

  #config() {
    return {
      name: 'shop',
      home: 'a',
      ring: { vnodes: this.#options.firstVnodes ?? 8 },
      shards: Object.fromEntries(CONFIGURED.map((name) => [name, { url: `postgres://${name}/shop` }])),
    };
  }

  #log() {
    const note = (level: string) => (facts: object, message: string) => {
      const { error, ...rest } = facts as { error?: Error };
      this.warnings.push(`${level} ${message} ${JSON.stringify(rest)} ${error?.stack ?? ''}`);
    };
    return { debug: () => {}, info: note('info'), warn: note('warn'), error: note('error') };
  }
}
