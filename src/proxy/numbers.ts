import { unsupported } from '../lib/errors.js';
import { greatestGiven } from '../routing/given-numbers.js';
import { bulkOf, withValues } from '../routing/parameter-sets.js';
import type { ParameterValues, Plan } from '../routing/plan.js';
import { servingShards } from '../topology/snapshot.js';
import type { Database } from './database.js';
import type { Execution, SessionContext } from './execution.js';

/** Numbers leased at once; those that are left when the process ends are never used. */
const BLOCK = 100;

interface Block {
  /** Ascending. */
  readonly left: bigint[];
  /** The highest number in use when this process began to take: asked once. */
  floor: bigint | undefined;
  /** All that is leased from now on, by whichever process, is greater. */
  end: bigint;
  /** Takers come one after the other, so that a block is leased once. */
  last: Promise<unknown>;
}

/**
 * Values of the columns of sharded tables that one database would number by itself (serial, identity, AUTO_INCREMENT): one
 * sequence for all shards, which lives on the home shard and is leased in blocks.
 */
export class GlobalNumbers {
  readonly #database: Database;
  readonly #blocks = new Map<string, Block>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** The next `count` numbers for a column; `table` as `schema.name`. */
  take(table: string, column: string, count: number): Promise<bigint[]> {
    const block = this.#block(table, column);
    return inTurn(block, async () => {
      if (block.floor === undefined) {
        block.floor = await this.#highest(table, column);
        passOver(block, block.floor);
      }
      if (block.left.length < count) await this.#lease(block, table, column, count + BLOCK, block.floor);
      return block.left.splice(0, count);
    });
  }

  /**
   * A row is about to get `number` by hand: what is taken here from now on, and what any process leases from now on, is greater.
   * Asks the home shard only for a number beyond all that were leased here, and then for a block behind it.
   */
  heed(table: string, column: string, number: bigint): Promise<void> | undefined {
    const block = this.#block(table, column);
    if (number <= block.end) {
      passOver(block, number);
      return undefined;
    }
    return inTurn(block, async () => {
      if (number > block.end) await this.#lease(block, table, column, BLOCK, number);
      passOver(block, number);
    });
  }

  #block(table: string, column: string): Block {
    const key = JSON.stringify([table, column]);
    let block = this.#blocks.get(key);
    if (block === undefined) {
      block = { left: [], floor: undefined, end: 0n, last: Promise.resolve() };
      this.#blocks.set(key, block);
    }
    return block;
  }

  async #lease(
    block: Block,
    tableName: string,
    columnName: string,
    count: number,
    floor: bigint,
  ): Promise<void> {
    const { dialect, topology } = this.#database;
    const { keyspace } = await this.#database.router();
    const table = keyspace.tables.get(tableName);
    const column = table?.columns.find(({ name }) => name === columnName);
    if (table === undefined || column === undefined)
      throw unsupported(`numbering rows of "${tableName}", which is not there any more`);
    const fresh = await this.#database.withBackend(topology.current.home, (backend) =>
      dialect.leaseNumbers((sql) => backend.rows(sql), table, column, count, floor),
    );
    block.left.push(...fresh);
    block.end = fresh.at(-1)!;
  }

  async #highest(tableName: string, columnName: string): Promise<bigint> {
    const { dialect, topology } = this.#database;
    const { keyspace } = await this.#database.router();
    const sql = dialect.highestNumberSql(keyspace.tables.get(tableName)!, columnName);
    if (sql === undefined) return 0n;
    let highest = 0n;
    for (const shard of servingShards(topology.current)) {
      const value = await this.#database.withBackend(
        shard,
        async (backend) => (await backend.rows(sql))[0]?.[0],
      );
      if (typeof value === 'string' && BigInt(value) > highest) highest = BigInt(value);
    }
    return highest;
  }
}

function inTurn<T>(block: Block, act: () => Promise<T>): Promise<T> {
  const done = block.last.then(act);
  block.last = done.catch(() => undefined);
  return done;
}

/** Numbers up to this one are not given any more. */
function passOver({ left }: Block, number: bigint): void {
  const kept = left.findIndex((each) => each > number);
  left.splice(0, kept === -1 ? left.length : kept);
}

/** Numbers that an INSERT gives by hand are not given to rows that come after it. */
export async function heedGiven({ database }: SessionContext, execution: Execution): Promise<void> {
  const { planned, parameters } = execution;
  const given = planned.plan.givenNumbers!;
  let number = 0n;
  for (const set of parameters?.sets ?? [parameters]) {
    const greatest = greatestGiven(given, planned, set);
    if (greatest > number) number = greatest;
  }
  if (number > 0n) await database.numbers.heed(given.table, given.column, number);
}

/** An INSERT whose rows have been given the numbers that a single database would have given them. */
export async function numbered(context: SessionContext, execution: Execution): Promise<Execution> {
  const { database, settings } = context;
  const { numbers } = execution.planned.plan;
  if (numbers === undefined) return execution;
  if (execution.parameters?.sets !== undefined)
    return numberedSets(context, execution, numbers, execution.parameters.sets);
  const taken = await database.numbers.take(numbers.table, numbers.column, numbers.rows);
  const router = await database.router();
  const sql = router.withNumbers(execution.planned, taken);
  const planned = router.plan(sql, settings.searchPath, settings.hint);
  // It does not go to a shard as the client sent it any more.
  const { table, column } = numbers;
  return { ...execution, planned, request: undefined, numbered: { table, column, numbers: taken } };
}

/** In a bulk execution the numbers come as values: each set has its own. */
async function numberedSets(
  { database, settings }: SessionContext,
  execution: Execution,
  { table, column, rows }: NonNullable<Plan['numbers']>,
  sets: readonly ParameterValues[],
): Promise<Execution> {
  const taken = await database.numbers.take(table, column, rows * sets.length);
  const router = await database.router();
  const { sql, parameters: places } = router.withNumberParameters(execution.planned);
  const planned = router.plan(sql, settings.searchPath, settings.hint);
  const parameters = bulkOf(
    sets.map((set, index) => withValues(set, places, taken.slice(index * rows, (index + 1) * rows))),
  );
  const given = { table, column, numbers: taken };
  return { ...execution, planned, parameters, request: undefined, numbered: given };
}
