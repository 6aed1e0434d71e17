import type { CopyTask } from '../../src/migration/engine.js';
import { rangeHolds } from '../../src/topology/ring.js';
import { tokenOf } from '../../src/topology/token.js';
import type { VirtualTime } from './virtual-time.js';

export interface Change {
  readonly table: string;
  readonly key: string;
  readonly kind: 'insert' | 'update' | 'delete';
  readonly value: string | undefined;
}

export interface LogEntry {
  readonly changes: readonly Change[];
  /** Who applied it, when it was an applier. */
  readonly origin: string | undefined;
}

/** The database refused a writer: SQLSTATE 40001 of the fence. */
export class Refused extends Error {}

interface SimFence {
  readonly tasks: readonly CopyTask[];
  /** An exclusive lock is being waited for: lost with its connection. */
  isRaising: boolean;
  isUp: boolean;
  isKept: boolean;
}

export function selects(tasks: readonly CopyTask[], table: string, key: string): boolean {
  return tasks.some(({ table: { schema, name }, selection }) => {
    if (`${schema}.${name}` !== table) return false;
    return selection.type === 'all' || selection.ranges.some((range) => rangeHolds(range, tokenOf(key)));
  });
}

/** One writing transaction: changes are visible and logged at its commit. */
export class Transaction {
  readonly changes: Change[] = [];
  /** Its connection does not belong to the proxy. */
  readonly isForeign: boolean;
  readonly #database: SimDatabase;

  constructor(database: SimDatabase, isForeign: boolean) {
    this.#database = database;
    this.isForeign = isForeign;
  }

  /** Upsert, or delete when `value` is undefined. Throws Refused at a fence. */
  write(table: string, key: string, value: string | undefined): void {
    if (this.#database.isFenced(table, key))
      throw new Refused(`${this.#database.name} refuses ${table} ${key}`);
    const earlier = this.changes.findLastIndex((change) => change.table === table && change.key === key);
    const isThere =
      earlier >= 0 ? this.changes[earlier]!.kind !== 'delete' : this.#database.rows(table).has(key);
    if (value === undefined && !isThere) return;
    this.changes.push({
      table,
      key,
      kind: value === undefined ? 'delete' : isThere ? 'update' : 'insert',
      value,
    });
  }

  /** Returns the position behind it. */
  commit(): number {
    this.#database.inside.delete(this);
    return this.#database.apply(this.changes, undefined);
  }

  rollback(): void {
    this.#database.inside.delete(this);
  }
}

/** A database server as a migration sees one: rows, a log of row images in commit order, slots, fences. Outlives proxies. */
export class SimDatabase {
  readonly name: string;
  readonly #tables = new Map<string, Map<string, string>>();
  readonly log: LogEntry[] = [];
  /** Slot → position from which it delivers. */
  readonly slots = new Map<string, number>();
  /** Stream → position applied; changes with the rows. */
  readonly progress = new Map<string, number>();
  readonly fences = new Map<string, SimFence>();
  /** Publications and the like, by migration. */
  readonly traces = new Set<string>();
  readonly inside = new Set<Transaction>();
  readonly prepared = new Map<string, Transaction>();

  constructor(name: string) {
    this.name = name;
  }

  rows(table: string): Map<string, string> {
    let rows = this.#tables.get(table);
    if (rows === undefined) this.#tables.set(table, (rows = new Map()));
    return rows;
  }

  /** All rows as they are at this moment. */
  image(): Map<string, Map<string, string>> {
    return new Map([...this.#tables].map(([table, rows]) => [table, new Map(rows)]));
  }

  begin(isForeign = false): Transaction {
    const transaction = new Transaction(this, isForeign);
    this.inside.add(transaction);
    return transaction;
  }

  /** Applies and logs as one. Throws when a change does not fit the rows: it was applied twice, or one is missing. */
  apply(changes: readonly Change[], origin: string | undefined): number {
    for (const { table, key, kind } of changes) {
      const isThere = this.rows(table).has(key);
      if (isThere !== (kind !== 'insert') && !this.#changesItself(changes, table, key)) {
        throw new Error(`${this.name}: cannot ${kind} ${table} ${key} (by ${origin ?? 'a client'})`);
      }
    }
    for (const { table, key, value } of changes) {
      if (value === undefined) this.rows(table).delete(key);
      else this.rows(table).set(key, value);
    }
    if (changes.length > 0) this.log.push({ changes: [...changes], origin });
    return this.log.length;
  }

  isFenced(table: string, key: string): boolean {
    return [...this.fences.values()].some(
      (fence) => (fence.isUp || fence.isRaising) && selects(fence.tasks, table, key),
    );
  }

  isEmptyFor(fence: SimFence): boolean {
    const writers = [...this.inside, ...this.prepared.values()];
    return !writers.some(({ changes }) => changes.some(({ table, key }) => selects(fence.tasks, table, key)));
  }

  /** The process that was connected died: open transactions and locks go, what is prepared or durable stays. */
  loseConnections(time: VirtualTime): void {
    const survivors = new Set(this.prepared.values());
    for (const transaction of this.inside)
      if (!survivors.has(transaction) && !transaction.isForeign) this.inside.delete(transaction);
    for (const fence of this.fences.values()) {
      fence.isRaising = false;
      if (!fence.isKept && time.chance(0.5)) fence.isUp = false;
    }
  }

  #changesItself(changes: readonly Change[], table: string, key: string): boolean {
    return changes.filter((change) => change.table === table && change.key === key).length > 1;
  }
}
