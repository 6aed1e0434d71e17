import { movesToAwait } from '../../src/proxy/mirror-wait.js';
import { Ticket, type Touch } from '../../src/topology/gate.js';
import { rangeHolds } from '../../src/topology/ring.js';
import { foreignRanges, type Move, servingShards } from '../../src/topology/snapshot.js';
import { tokenOf } from '../../src/topology/token.js';
import type { SimDatabase, Transaction } from './database.js';
import type { ProxyProcess, SimServer } from './server.js';
import { slotOf } from './stream.js';
import { COUNTRIES } from './tables.js';

export interface Write {
  readonly table: string;
  readonly key: string;
  readonly value: string | undefined;
}

/** What the proxy's sessions do, as far as a migration can notice: route, gate, execute, commit, await the mirror, acknowledge. */
export class SimSession {
  readonly #server: SimServer;
  readonly #proxy: ProxyProcess;

  constructor(server: SimServer, proxy: ProxyProcess) {
    this.#server = server;
    this.#proxy = proxy;
  }

  /** One transaction; resolves when it is acknowledged. Throws Refused when a statement failed (all is rolled back). */
  async write(writes: readonly Write[], thinkMs: number): Promise<void> {
    const { gate } = this.#proxy.topology;
    const ticket = new Ticket();
    const open = new Map<SimDatabase, { transaction: Transaction; touches: Touch[] }>();
    try {
      for (const write of writes) {
        const { shards, touch } = await this.#enter(ticket, write);
        for (const shard of shards) {
          await this.#delay(8);
          const database = this.#server.databases.get(shard)!;
          const part = open.get(database) ?? { transaction: database.begin(), touches: [] };
          open.set(database, part);
          part.touches.push(touch);
          part.transaction.write(write.table, write.key, write.value);
        }
        await this.#delay(thinkMs);
      }
      await this.#commit(open);
      await this.#awaitMirrors(open);
    } catch (thrown) {
      for (const { transaction } of open.values()) transaction.rollback();
      throw thrown;
    } finally {
      if (!this.#proxy.life.isOver) gate.leave(ticket);
    }
  }

  /** Keys of a table on all shards, scattered `times` times in one repeatable-read transaction. */
  async scatter(table: string, times: number): Promise<string[][]> {
    const { topology } = this.#proxy;
    const ticket = new Ticket();
    const images = new Map<string, Map<string, Map<string, string>>>();
    const results: string[][] = [];
    try {
      for (let i = 0; i < times; i++) {
        const wait = topology.gate.enter(ticket, { tokens: [], sharded: true, reference: false });
        if (wait !== undefined) {
          await wait;
          i--;
          continue;
        }
        const snapshot = topology.current;
        const keys: string[] = [];
        for (const shard of servingShards(snapshot)) {
          await this.#delay(15);
          const image = images.get(shard) ?? this.#server.databases.get(shard)!.image();
          if (times > 1) images.set(shard, image);
          const foreign = foreignRanges(snapshot, shard);
          for (const key of image.get(table)?.keys() ?? []) {
            if (!foreign.some((range) => rangeHolds(range, tokenOf(key)))) keys.push(key);
          }
        }
        results.push(keys);
        if (times > 1) await this.#delay(400);
      }
    } finally {
      if (!this.#proxy.life.isOver) topology.gate.leave(ticket);
    }
    return results;
  }

  /** Routes and enters in one turn; after a wait it routes anew. */
  async #enter(ticket: Ticket, { table, key }: Write): Promise<{ shards: string[]; touch: Touch }> {
    const { topology } = this.#proxy;
    for (;;) {
      const snapshot = topology.current;
      const isReference = table === COUNTRIES;
      const touch: Touch = {
        tokens: isReference ? [] : [tokenOf(key)],
        sharded: false,
        reference: isReference,
      };
      const wait = topology.gate.enter(ticket, touch);
      if (wait === undefined) {
        return { shards: isReference ? servingShards(snapshot) : [snapshot.ring.owner(tokenOf(key))], touch };
      }
      await wait;
    }
  }

  async #commit(open: ReadonlyMap<SimDatabase, { transaction: Transaction }>): Promise<void> {
    await this.#delay(4);
    if (open.size <= 1) {
      for (const { transaction } of open.values()) transaction.commit();
      return;
    }
    const gid = `g${this.#server.time.below(2 ** 31)}`;
    for (const [database, { transaction }] of open) {
      database.prepared.set(gid, transaction);
      await this.#delay(4);
    }
    await this.#proxy.store.decisions.record(gid);
    for (const [database, { transaction }] of open) {
      database.prepared.delete(gid);
      transaction.commit();
      await this.#delay(4);
    }
    await this.#proxy.store.decisions.forget(gid);
  }

  async #awaitMirrors(open: ReadonlyMap<SimDatabase, { touches: Touch[] }>): Promise<void> {
    const { topology } = this.#proxy;
    for (const [database, { touches }] of open) {
      const moves = movesToAwait(topology.current, database.name, touches);
      const position = database.log.length;
      await Promise.all(
        moves.map((move) => topology.mirrorBarrier(move.migration, database.name, String(position))),
      );
      for (const move of moves) this.#checkMirrored(move, database, position);
    }
  }

  /** An acknowledged write is on both owners, as long as the topology says that they mirror. */
  #checkMirrored(move: Move, database: SimDatabase, position: number): void {
    if (this.#proxy.life.isOver || !this.#proxy.topology.current.moves.includes(move)) return;
    // After `finish` or `abort` there is nothing to be kept.
    const phase = this.#proxy.migrations.get(move.migration)?.record.phase;
    if (phase === 'cleaning' || phase === 'aborting') return;
    const [direction, name] =
      move.state === 'mirrored' ? (['forward', move.target] as const) : (['reverse', move.source] as const);
    const slot = slotOf(move.migration, direction, database.name, name);
    const other = this.#server.databases.get(name)!;
    const applied = other.progress.get(slot) ?? database.slots.get(slot) ?? 0;
    const isThere = applied >= position || this.#isLater(database, applied, position, move);
    if (!isThere) this.#server.mirrorMisses.push(`${database.name} at ${position}, ${name} at ${applied}`);
  }

  /** Nothing that concerns the move lies between what was applied and the position. */
  #isLater(database: SimDatabase, applied: number, position: number, move: Move): boolean {
    const between = database.log.slice(applied, position).flatMap((entry) => entry.changes);
    return !between.some(({ key }) => move.ranges.some((range) => rangeHolds(range, tokenOf(key))));
  }

  async #delay(most: number): Promise<void> {
    await this.#server.time.sleep(this.#server.time.below(most + 1));
    if (this.#proxy.life.isOver) await new Promise<never>(() => {});
  }
}
