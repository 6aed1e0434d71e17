import assert from 'node:assert/strict';
import type { AppliedStream, CopyTask, ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { selectionTest } from '../../src/migration/selection.js';
import { openChangeStream } from '../../src/mysql/apply.js';
import { markLog } from '../../src/mysql/change-source.js';
import { EngineSessions } from '../../src/mysql/engine-sessions.js';
import { ensureLedger } from '../../src/mysql/ledger.js';
import { openSourceSnapshot } from '../../src/mysql/source-snapshot.js';
import type { Range } from '../../src/topology/ring.js';
import type { After } from '../cluster.js';
import { type MysqlServer, startMariadb } from '../mariadb.js';
import { HALF, keyspaceOf, numbersTo, sql, startShards, tasksOf, texts } from './shard-fixture.js';

/** Two servers in one test file; every test has a database of its own on them. */
export interface Pair {
  readonly servers: readonly [MysqlServer, MysqlServer];
  readonly sessions: EngineSessions;
  readonly log: string[];
  /** A new database on each server: the shards `a` and `d`. */
  databases(name: string): Promise<{ source: ShardAddress; target: ShardAddress }>;
}

export async function startPair(
  after: After,
  settings: Record<string, string> = {},
  start = startMariadb,
): Promise<Pair> {
  const shards = await startShards(after, 2, settings, start);
  const [first, second] = shards.servers;
  return {
    servers: [first!, second!],
    sessions: new EngineSessions(),
    log: [],
    async databases(name) {
      const [source, target] = await shards.databases(name);
      return { source: source!, target: { ...target!, shard: 'd' } };
    },
  };
}

/** Tables of the source as tasks, in this order: `tables` says `column:type` of the shard key, or `reference`. */
export async function tasksFor(
  source: ShardAddress,
  tables: Readonly<Record<string, string>>,
  ranges: readonly Range[],
): Promise<CopyTask[]> {
  const tasks = tasksOf(await keyspaceOf(source, tables), ranges);
  return Object.keys(tables).map((name) => tasks.find(({ table }) => table.name === name)!);
}

export async function openStream(
  pair: Pair,
  spec: StreamSpec,
  options: { signal?: AbortSignal; silenceMs?: number } = {},
): Promise<AppliedStream> {
  return await openChangeStream(
    spec,
    {
      sessions: pair.sessions,
      log: (_level, message) => {
        pair.log.push(message);
        if (process.env['RINGFERRY_TEST_LOG'] !== undefined) console.error(message);
      },
      retryForMs: 20_000,
      maxLagBytes: undefined,
      ...(options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }),
    },
    options.signal ?? AbortSignal.timeout(600_000),
  );
}

/** Copied and streaming: where a migration is when it catches up. The target has the tables already. */
export async function startMigration(
  pair: Pair,
  spec: StreamSpec,
  between: { afterSnapshot?: () => Promise<void>; afterCopy?: () => Promise<void> } = {},
  options: { silenceMs?: number } = {},
): Promise<AppliedStream> {
  await pair.sessions.use(spec.to, ensureLedger);
  const snapshot = await openSourceSnapshot(spec.from, spec.migration, [spec.to.shard], (message) =>
    pair.log.push(message),
  );
  try {
    await between.afterSnapshot?.();
    await Promise.all(
      spec.tasks.map((task) => snapshot.copy(task, spec.to, () => {}, AbortSignal.timeout(60_000))),
    );
  } finally {
    await snapshot.close();
  }
  await between.afterCopy?.();
  return await openStream(pair, spec, options);
}

/** Everything that the source has committed until now is on the target. */
export async function caughtUp(pair: Pair, spec: StreamSpec, stream: AppliedStream): Promise<void> {
  await stream.waitFor(await pair.sessions.use(spec.from, (session) => markLog(session, spec.migration)));
}

export interface Subject {
  readonly source: ShardAddress;
  readonly target: ShardAddress;
  readonly spec: StreamSpec;
  readonly moving: readonly number[];
  readonly staying: readonly number[];
}

/** A database of its own; `ddl` makes tables on both servers, `rows` fills them on the source. */
export async function migrationOf(
  pair: Pair,
  name: string,
  ddl: readonly string[],
  rows: readonly string[],
  tables: Record<string, string>,
  ranges: readonly Range[] = HALF,
): Promise<Subject> {
  const { source, target } = await pair.databases(name);
  await sql(source.url, ...ddl, ...rows);
  await sql(target.url, ...ddl);
  const tasks = await tasksFor(source, tables, ranges);
  const spec: StreamSpec = { migration: name, direction: 'forward', from: source, to: target, tasks };
  const isMoving = selectionTest(tasks[0]!);
  const keys = Array.from({ length: 1000 }, (_, index) => index + 1);
  return {
    source,
    target,
    spec,
    moving: keys.filter((key) => isMoving(String(key))),
    staying: keys.filter((key) => !isMoving(String(key))),
  };
}

export const CUSTOMERS = ['CREATE TABLE customers (id int PRIMARY KEY, name text)'];
export const THOUSAND = [
  `INSERT INTO customers (id, name) SELECT seq, concat('n', seq) FROM ${numbersTo(1000)}`,
];
export const KEYED = { customers: 'id:integer' };

/** The target holds exactly the rows of the source whose keys are selected. */
export async function assertSame(pair: Pair, subject: Subject, stream: AppliedStream): Promise<string[]> {
  await caughtUp(pair, subject.spec, stream);
  const [{ table, selection }] = [subject.spec.tasks[0]!];
  const isMoving = selectionTest(subject.spec.tasks[0]!);
  const key = selection.type === 'all' ? table.primaryKey[0]! : table.key!.column;
  const query = `SELECT ${key}, t.* FROM ${table.name} t ORDER BY ${table.primaryKey.join(', ')}`;
  const expected = (await texts(subject.source.url, query)).filter((row) => {
    const value = row.slice(0, row.indexOf('|'));
    return isMoving(value === 'NULL' ? null : value);
  });
  const found = await texts(subject.target.url, query);
  assert.deepEqual(found, expected);
  return found;
}
