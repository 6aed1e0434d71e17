import type {
  AppliedStream,
  CopyTask,
  MigrationEngine,
  ShardAddress,
  StreamSpec,
} from '../../src/migration/engine.js';
import { createPostgresEngine } from '../../src/postgres/engine.js';
import { EngineSession } from '../../src/postgres/engine-session.js';
import { readTables } from '../../src/postgres/engine-tables.js';
import type { Keyspace, KeyType, Table } from '../../src/topology/keyspace.js';
import type { Range } from '../../src/topology/ring.js';
import { TOKEN_MAX, TOKEN_MIN } from '../../src/topology/token.js';
import { type After, type PostgresServer, runSql, startPostgres } from '../cluster.js';

/** Two servers in one test file; every test has databases of its own on them. */
export interface Pair {
  readonly servers: readonly [PostgresServer, PostgresServer];
  readonly engine: MigrationEngine;
  readonly log: string[];
  /** A new database on each server: the shards `a` and `d`. */
  databases(name: string): Promise<{ source: ShardAddress; target: ShardAddress }>;
}

/** Roughly half of all tokens, in pieces. */
export const HALF: readonly Range[] = [
  { low: TOKEN_MIN, high: -6_000_000_000_000_000_000n },
  { low: -2_000_000_000_000_000_000n, high: 1_000_000_000_000_000_000n },
  { low: 6_400_000_000_000_000_000n, high: TOKEN_MAX },
];
export const WHOLE: readonly Range[] = [{ low: TOKEN_MIN, high: TOKEN_MAX }];

export async function startPair(after: After, version?: 15 | 18): Promise<Pair> {
  const [first, second] = await startPostgres(after, {
    count: 2,
    ...(version === undefined ? {} : { version }),
    // Many migrations in one server, which never end: each has an origin, and 18 allows ten.
    ...((version ?? Number(process.env['RINGFERRY_TEST_POSTGRES'])) === 18
      ? { settings: { max_active_replication_origins: '60' } }
      : {}),
  });
  const servers = [first!, second!] as const;
  const log: string[] = [];
  const write = (_facts: unknown, message?: string): void => void log.push(message ?? '');
  return {
    servers,
    engine: createPostgresEngine({ log: { info: write, warn: write } as never, retryForMs: 10_000 }),
    log,
    async databases(name) {
      const urls = await Promise.all(
        servers.map(async (server) => {
          await runSql(server.url('postgres'), `CREATE DATABASE ${name}`);
          return server.url(name);
        }),
      );
      return { source: { shard: 'a', url: urls[0]! }, target: { shard: 'd', url: urls[1]! } };
    },
  };
}

/** The keyspace of a database: `tables` says `column:type` of the shard key, or `reference`. */
export async function keyspaceOf(
  address: ShardAddress,
  tables: Readonly<Record<string, string>>,
): Promise<Keyspace> {
  const session = await EngineSession.connect(address);
  try {
    const all = new Map<string, Table>();
    const names = await session.rows(
      `SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema|ringferry)'`,
    );
    const bare = names.map(([schema, name]) => ({ schema: schema!, name: name! }) as Table);
    for (const [key, facts] of await readTables(session, bare)) {
      const placed = tables[key] ?? tables[facts.table.name];
      const [column, type] = placed?.split(':') ?? [];
      all.set(key, {
        schema: facts.table.schema,
        name: facts.table.name,
        kind: 'table',
        placement: placed === undefined ? 'home' : placed === 'reference' ? 'reference' : 'sharded',
        key: type === undefined ? undefined : { column: column!, type: type as KeyType },
        columns: facts.columns.map((each) => ({
          name: each.name,
          type: each.type,
          typeOid: each.typeOid,
          isNotNull: false,
          defaultSql: undefined,
          isSequenceFilled: false,
          isGenerated: each.isGenerated,
          hasByteOrder: false,
        })),
        primaryKey: facts.primaryKey.map((each) => each.name),
        reads: [],
      });
    }
    return {
      database: 'test',
      home: address.shard,
      tables: all,
      searchPath: ['public'],
      builtinFunctions: new Set(),
      hasByteOrder: false,
    };
  } finally {
    await session.close();
  }
}

export function tasksOf(keyspace: Keyspace, ranges: readonly Range[]): CopyTask[] {
  const tasks: CopyTask[] = [];
  for (const table of keyspace.tables.values()) {
    if (table.placement === 'sharded') tasks.push({ table, selection: { type: 'ranges', ranges } });
    if (table.placement === 'reference') tasks.push({ table, selection: { type: 'all' } });
  }
  return tasks;
}

/** Prepared, copied and streaming: where a migration is when it catches up. */
export async function startMigration(
  engine: MigrationEngine,
  spec: StreamSpec,
  keyspace: Keyspace,
  between: { afterSnapshot?: () => Promise<void>; afterCopy?: () => Promise<void> } = {},
): Promise<AppliedStream> {
  await engine.copySchema(spec.from, spec.to, keyspace);
  await engine.prepareSource(spec.from, spec.migration, spec.tasks);
  await engine.prepareTarget(spec.to, spec.migration);
  await engine.clearTarget(spec.to, spec.tasks);
  const snapshot = await engine.openSnapshot(spec.from, spec.migration, [spec.to.shard]);
  try {
    await between.afterSnapshot?.();
    for (const task of spec.tasks) await snapshot.copy(task, spec.to, () => {}, AbortSignal.timeout(60_000));
  } finally {
    await snapshot.close();
  }
  await between.afterCopy?.();
  return await engine.openStream(spec, AbortSignal.timeout(600_000));
}

/** Everything that the source has committed until now is on the target. */
export async function caughtUp(
  engine: MigrationEngine,
  spec: StreamSpec,
  stream: AppliedStream,
): Promise<void> {
  await stream.waitFor(await engine.writeMarker(spec.from, spec.migration));
}

export async function texts(url: string, sql: string): Promise<string[]> {
  const session = await EngineSession.connect({ shard: 'test', url });
  try {
    await session.run('SET search_path = public');
    return (await session.rows(sql)).map((row) => row.map((value) => value ?? 'NULL').join('|'));
  } finally {
    await session.close();
  }
}

export async function sql(url: string, ...statements: string[]): Promise<void> {
  await runSql(url, ...statements);
}
