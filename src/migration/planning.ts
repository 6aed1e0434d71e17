import { OperatingError } from '../lib/errors.js';
import { addShard, fractionOf, type RingChange, rebalance, removeShard } from '../topology/moves.js';
import type { ShardName } from '../topology/ring.js';
import { servingShards } from '../topology/snapshot.js';
import { allTasks, rangesOfMove, tableName } from './links.js';
import { recordPoints } from './publication.js';
import type { CopyProgress, MigrationOptions, MigrationRecord } from './record.js';
import type { Run } from './run.js';
import type { World } from './world.js';

/** What an operator asks for. */
export interface Wish {
  readonly kind: MigrationRecord['kind'];
  readonly shard: ShardName | undefined;
  /** Of an added shard that the config does not know. */
  readonly url: string | undefined;
  readonly options: Partial<MigrationOptions>;
}

/** A name that fits in URLs, in names of database objects and on the ring. */
const SHARD_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}$/;

/** The record as it would be stored. Throws OperatingError when the wish makes no sense; asks no database. */
export function plannedRecord(world: World, wish: Wish): MigrationRecord {
  const change = changeOf(world, wish);
  if (change.moves.length === 0)
    throw new OperatingError('migration', 'there is nothing to move: the ring is already as wished');
  const now = new Date(world.clock.now()).toISOString();
  return {
    id: world.newId(),
    database: world.topology.current.database,
    kind: wish.kind,
    shard: wish.shard,
    ...urlOf(world, wish),
    createdAt: now,
    phase: 'planned',
    failure: undefined,
    moves: change.moves.map(({ source, target, ranges }) => ({
      source,
      target,
      ranges: ranges.map(({ low, high }) => ({ low: low.toString(), high: high.toString() })),
    })),
    ring: { before: recordPoints(change.before), after: recordPoints(change.after) },
    tables: [],
    options: {
      cutover: wish.options.cutover ?? 'auto',
      finish: wish.options.finish ?? 'manual',
      parallel: wish.options.parallel ?? world.config.parallel,
    },
    objects: [],
    copies: [],
    verification: undefined,
    holdMs: undefined,
    cutoverAttempts: 0,
    stepsBack: 0,
    paused: false,
    request: undefined,
    startedAt: { planned: now },
  };
}

/** Which share of all keys moves, 0 to 1. */
export function movedFraction(record: MigrationRecord): number {
  return fractionOf(record.moves.flatMap(rangesOfMove));
}

/** For a dry run: rows that would be copied, by the databases' own estimates where they give them. */
export async function estimate(world: World, run: Run): Promise<CopyProgress[]> {
  const { engine } = world;
  const copies: CopyProgress[] = [];
  for (const link of run.links) {
    for (const task of allTasks(link)) {
      const estimatedRows = (await engine.estimateRows?.(run.address(link.source), task)) ?? 0;
      const table = tableName(task.table);
      const found = copies.find((copy) => copy.source === link.source && copy.table === table);
      if (found !== undefined) found.estimatedRows += estimatedRows;
      else copies.push({ source: link.source, table, rows: 0, bytes: 0, estimatedRows, isDone: false });
    }
  }
  return copies;
}

function changeOf(world: World, wish: Wish): RingChange {
  const { current } = world.topology;
  switch (wish.kind) {
    case 'add-shard':
      return addShard(current.ring, newName(world, wish.shard), world.vnodes);
    case 'remove-shard':
      return removeShard(current.ring, leavingName(world, wish.shard));
    case 'rebalance':
      return rebalance(current.ring, servingShards(current), world.vnodes);
  }
}

function newName(world: World, shard: ShardName | undefined): ShardName {
  const { current } = world.topology;
  if (shard === undefined || !SHARD_NAME.test(shard)) {
    throw new OperatingError('invalid-parameter', `${JSON.stringify(shard ?? '')} is not a shard's name`, {
      hint: 'Use up to 40 letters, digits, and _ . -',
    });
  }
  if (!current.shards.some((entry) => entry.name === shard)) return shard;
  throw new OperatingError(
    'migration',
    `shard "${shard}" is already part of database "${current.database}"`,
    {
      hint: 'Use another name, or `ringferry migrate rebalance` to spread the rows anew.',
    },
  );
}

function leavingName(world: World, shard: ShardName | undefined): ShardName {
  const { current } = world.topology;
  if (shard === undefined || !current.shards.some((entry) => entry.name === shard)) {
    throw new OperatingError(
      'invalid-parameter',
      `there is no shard "${shard ?? ''}" in database "${current.database}"`,
      {
        hint: `Its shards are: ${current.shards.map((entry) => entry.name).join(', ')}.`,
      },
    );
  }
  if (shard !== current.home) return shard;
  throw new OperatingError(
    'migration',
    `shard "${shard}" is the home of database "${current.database}": its unsharded tables live there`,
    {
      hint: 'Remove another shard. The home cannot be removed.',
    },
  );
}

/** An added shard's URL is kept in the record only when nobody else knows it. */
function urlOf(world: World, wish: Wish): { shardUrl: string | undefined; shardOrigin?: 'config' | 'store' } {
  const { current } = world.topology;
  if (wish.kind === 'remove-shard') {
    // It leaves the topology before its traces are removed.
    const entry = current.shards.find(({ name }) => name === wish.shard);
    return { shardUrl: entry?.origin === 'store' ? entry.url : undefined };
  }
  if (wish.kind === 'rebalance') return { shardUrl: undefined };
  const url = wish.url ?? configuredUrl(world, wish.shard!);
  if (url === undefined) {
    throw new OperatingError('invalid-parameter', `the URL of shard "${wish.shard}" is not known`, {
      hint: `Say it (--url postgres://user@host:port/database), or put "${wish.shard}" under databases.${current.database}.shards in the config.`,
    });
  }
  const twin = current.shards.find((entry) => samePlace(entry.url, url));
  if (twin !== undefined) {
    throw new OperatingError(
      'migration',
      `the URL of shard "${wish.shard}" is that of shard "${twin.name}"`,
      { hint: 'Each shard needs a database of its own.' },
    );
  }
  return wish.url === undefined
    ? { shardUrl: undefined, shardOrigin: 'config' }
    : { shardUrl: url, shardOrigin: 'store' };
}

function configuredUrl(world: World, shard: ShardName): string | undefined {
  try {
    return world.shardUrl(shard);
  } catch {
    return undefined;
  }
}

/** The same host, port and database, whoever logs in. */
function samePlace(a: string, b: string): boolean {
  try {
    const left = new URL(a);
    const right = new URL(b);
    return left.host === right.host && left.pathname === right.pathname && left.protocol === right.protocol;
  } catch {
    return a === b;
  }
}
