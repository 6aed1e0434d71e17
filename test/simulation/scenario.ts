import type { Request } from '../../src/migration/phases.js';
import type { MigrationOptions, Phase } from '../../src/migration/record.js';
import { tokenOf } from '../../src/topology/token.js';
import { Clients } from './clients.js';
import { type ServerOptions, SimServer } from './server.js';
import { COUNTRIES, ITEMS, LINES } from './tables.js';
import { VirtualTime } from './virtual-time.js';

export type Ending = 'finish' | 'rollback' | 'abort';

export interface Scenario extends ServerOptions {
  readonly seed: number;
  readonly kind: 'add-shard' | 'remove-shard' | 'rebalance';
  readonly ending: Ending;
  /** Abort is asked for this long after the begin; other endings when the migration is switched. */
  readonly afterMs: number;
  readonly rows?: number;
  readonly writers?: number;
  /** Also kills the process at this moment. */
  readonly crashAfterMs?: number;
}

export interface Outcome {
  readonly phase: Phase;
  readonly violations: string[];
  readonly mirrorMisses: readonly string[];
  readonly clientErrors: string[];
  readonly acknowledged: number;
  readonly scatters: number;
  readonly crashes: number;
  readonly visited: readonly string[];
  readonly warnings: readonly string[];
  readonly holdMs: number | undefined;
  readonly attempts: number;
  readonly stepsBack: number;
  readonly comparedRows: number;
}

const OVER: readonly Phase[] = ['done', 'aborted', 'failed'];
const LONGEST_MS = 60 * 60_000;

/** One migration under traffic from one seed, and every promise that was broken in it. */
export async function play(scenario: Scenario): Promise<Outcome> {
  const time = new VirtualTime(scenario.seed);
  const server = new SimServer(time, { ...scenario, firstVnodes: scenario.kind === 'rebalance' ? 5 : 8 });
  const clients = new Clients(server);
  const violations: string[] = [];
  void server.start();
  if (!(await time.run(() => server.proxy !== undefined, LONGEST_MS)))
    throw new Error('the server did not start');
  clients.seed(scenario.rows ?? 24);
  const script = new Script(server, scenario);
  clients.start(scenario.writers ?? 4);
  script.start();
  if (scenario.crashAfterMs !== undefined)
    void time.sleep(scenario.crashAfterMs).then(() => server.proxy && server.crash());
  if (!(await time.run(() => script.isOver, LONGEST_MS)))
    violations.push(`the migration did not end: ${script.where}`);
  // What was promised must hold afterwards as well.
  await time.run(() => false, 500);
  clients.stop();
  if (!(await time.run(() => clients.areIdle && server.proxy !== undefined, LONGEST_MS)))
    violations.push('clients hang');
  violations.push(...clients.wrongCounts, ...brokenPromises(server, clients));
  const record = server.proxy?.migrations.list().at(-1)?.record;
  return {
    phase: record?.phase ?? 'planned',
    violations,
    mirrorMisses: server.mirrorMisses,
    clientErrors: clients.errors,
    acknowledged: clients.acknowledged,
    scatters: clients.scatters,
    crashes: server.crashes,
    visited: server.visited,
    warnings: server.warnings,
    holdMs: record?.holdMs,
    attempts: record?.cutoverAttempts ?? 0,
    stepsBack: record?.stepsBack ?? 0,
    comparedRows: record?.verification?.comparedRows ?? 0,
  };
}

/** The operator. */
class Script {
  readonly #server: SimServer;
  readonly #scenario: Scenario;
  isOver = false;
  where = 'not begun';

  constructor(server: SimServer, scenario: Scenario) {
    this.#server = server;
    this.#scenario = scenario;
  }

  start(): void {
    const { kind, ending } = this.#scenario;
    const shard = kind === 'add-shard' ? 'd' : kind === 'remove-shard' ? 'b' : undefined;
    void this.#run(kind, shard, {
      finish: ending === 'finish' && this.#scenario.seed % 2 === 0 ? 'now' : 'manual',
    });
  }

  async #run(
    kind: Scenario['kind'],
    shard: string | undefined,
    options: Partial<MigrationOptions>,
  ): Promise<void> {
    const { time } = this.#server;
    await time.sleep(50);
    const begunAt = time.now();
    await this.#begin(kind, shard, options);
    for (;;) {
      await time.sleep(20);
      const last = this.#server.proxy?.migrations.list().at(-1);
      const phase = last?.record.phase;
      this.where = `${phase} (${last?.waitingFor ?? ''})`;
      if (phase !== undefined && OVER.includes(phase)) break;
      if (time.now() - begunAt < this.#scenario.afterMs) continue;
      const { ending } = this.#scenario;
      if (phase === 'switched') await this.#ask(ending === 'abort' ? 'rollback' : ending);
      else if (ending === 'abort') await this.#ask('abort');
    }
    this.isOver = true;
  }

  async #begin(
    kind: Scenario['kind'],
    shard: string | undefined,
    options: Partial<MigrationOptions>,
  ): Promise<void> {
    const { time } = this.#server;
    for (;;) {
      const proxy = await this.#server.up();
      const beginning = proxy.migrations.begin({
        kind,
        shard,
        url: shard === 'd' ? 'postgres://d/shop' : undefined,
        options,
      });
      const result = await Promise.race([beginning, this.#server.death()]).catch((thrown: unknown) => thrown);
      await time.sleep(20);
      // After a crash: begun or not? The store says.
      const active = (await this.#server.up()).migrations
        .list()
        .some(({ record }) => !OVER.includes(record.phase));
      if (active || !(result instanceof Error)) return;
    }
  }

  async #ask(request: Request): Promise<void> {
    const proxy = this.#server.proxy;
    const id = proxy?.migrations.list().at(-1)?.record.id;
    if (proxy === undefined || id === undefined) return;
    const asking = proxy.migrations.request(id, request);
    // Refused when the phase has just changed; the next look asks again.
    await Promise.race([asking, this.#server.death()]).catch(() => {});
  }
}

/** Looks at the databases themselves when all is quiet. */
function brokenPromises(server: SimServer, clients: Clients): string[] {
  const broken: string[] = [];
  const { stored, databases } = server;
  if (stored.moves.length > 0) broken.push('moves are left in the topology');
  if (server.proxy?.topology.current.epoch !== stored.epoch)
    broken.push('the published epoch is not the stored one');
  for (const shard of stored.shards) if (!shard.isServing) broken.push(`${shard.name} is left, not serving`);
  for (const [name, possible] of clients.ledger) {
    const [table, key] = name.split(' ') as [string, string];
    for (const { name: shard } of stored.shards) {
      const isOwner = table === COUNTRIES || stored.ring.owner(tokenOf(key)) === shard;
      const value = databases.get(shard)!.rows(table).get(key);
      if (isOwner && !possible.has(value))
        broken.push(`${name} on ${shard} is ${value}, acknowledged was ${[...possible]}`);
      if (!isOwner && value !== undefined) broken.push(`${name} is on ${shard}, which does not own it`);
    }
  }
  for (const database of databases.values()) {
    const { name, slots, progress, fences, traces, prepared } = database;
    const left = { slots, progress, fences, traces, prepared };
    for (const [what, things] of Object.entries(left))
      if (things.size > 0) broken.push(`${what} left on ${name}: ${[...things.keys()]}`);
    const isServing = stored.shards.some((shard) => shard.name === name);
    if (isServing) continue;
    for (const table of [ITEMS, LINES])
      if (database.rows(table).size > 0) broken.push(`${table} of ${name} is not empty`);
  }
  return broken;
}
