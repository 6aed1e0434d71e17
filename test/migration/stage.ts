import assert from 'node:assert/strict';
import type { MigrationState } from '../../src/migration/migrations.js';
import type { Wish } from '../../src/migration/planning.js';
import type { Phase } from '../../src/migration/record.js';
import { Clients } from '../simulation/clients.js';
import { type ProxyProcess, type ServerOptions, SimServer } from '../simulation/server.js';
import { VirtualTime } from '../simulation/virtual-time.js';

const LONG_MS = 10 * 60_000;

export const ADD_D: Wish = { kind: 'add-shard', shard: 'd', url: 'postgres://d/shop', options: {} };

/** A simulated server with rows in it, driven step by step by a test. */
export class Stage {
  readonly server: SimServer;
  readonly clients: Clients;

  private constructor(options: ServerOptions, seed: number) {
    this.server = new SimServer(new VirtualTime(seed), options);
    this.clients = new Clients(this.server);
  }

  static async open(options: ServerOptions = {}, seed = 7): Promise<Stage> {
    const stage = new Stage(options, seed);
    void stage.server.start();
    await stage.until(() => stage.server.proxy !== undefined);
    stage.clients.seed(24);
    return stage;
  }

  get proxy(): ProxyProcess {
    assert.ok(this.server.proxy !== undefined, 'the proxy runs');
    return this.server.proxy;
  }

  get state(): MigrationState {
    return this.proxy.migrations.list().at(-1)!;
  }

  /** Lets time pass until `done`; fails with the log when that does not come. */
  async until(done: () => boolean, limitMs = LONG_MS): Promise<void> {
    const isDone = await this.server.time.run(done, limitMs);
    assert.ok(isDone, `it did not happen: ${this.server.warnings.slice(-15).join('\n')}`);
  }

  async reach(...phases: Phase[]): Promise<void> {
    await this.until(() => this.server.proxy !== undefined && phases.includes(this.state?.record.phase));
  }

  /** Time passes while `promise` is under way. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const noted = promise.finally(() => {
      isSettled = true;
    });
    noted.catch(() => {});
    await this.until(() => isSettled);
    return noted;
  }

  async pass(ms: number): Promise<void> {
    await this.settle(this.server.time.sleep(ms));
  }

  begin(wish: Wish = ADD_D): Promise<MigrationState> {
    return this.settle(this.proxy.migrations.begin(wish));
  }

  async ask(request: 'cutover' | 'rollback' | 'finish' | 'abort'): Promise<void> {
    await this.settle(this.proxy.migrations.request(this.state.record.id, request));
  }

  /** Everything that migrations make in databases and in the topology, as far as it is there now. */
  leftovers(): string[] {
    const left = this.server.stored.moves.length === 0 ? [] : ['moves'];
    for (const { name, slots, fences, traces, progress } of this.server.databases.values()) {
      for (const things of [slots, fences, traces, progress])
        left.push(...[...things.keys()].map((thing) => `${name}: ${thing}`));
    }
    return left;
  }
}
