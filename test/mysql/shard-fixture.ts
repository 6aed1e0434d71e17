import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type { CopyTask, ShardAddress } from '../../src/migration/engine.js';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { readTables } from '../../src/mysql/engine-tables.js';
import type { Keyspace, KeyType, Table } from '../../src/topology/keyspace.js';
import type { Range } from '../../src/topology/ring.js';
import { TOKEN_MAX, TOKEN_MIN } from '../../src/topology/token.js';
import type { After } from '../cluster.js';
import { type MysqlServer, runMysql, startMariadb } from '../mariadb.js';

/** Roughly half of all tokens, in pieces. */
export const HALF: readonly Range[] = [
  { low: TOKEN_MIN, high: -6_000_000_000_000_000_000n },
  { low: -2_000_000_000_000_000_000n, high: 1_000_000_000_000_000_000n },
  { low: 6_400_000_000_000_000_000n, high: TOKEN_MAX },
];
export const WHOLE: readonly Range[] = [{ low: TOKEN_MIN, high: TOKEN_MAX }];

/** Servers of one test file; every test has a database of its own name on each: the shards `a`, `b` … */
export interface Shards {
  readonly servers: readonly MysqlServer[];
  databases(name: string): Promise<ShardAddress[]>;
}

export async function startShards(
  after: After,
  count: number,
  settings: Readonly<Record<string, string>> = {},
  start = startMariadb,
): Promise<Shards> {
  const servers = await start(after, { count, settings });
  return {
    servers,
    async databases(name) {
      for (const server of servers) await runMysql(server.url(), `CREATE DATABASE ${name}`);
      return servers.map((server, index) => ({ shard: 'abcdefgh'[index]!, url: server.url(name) }));
    },
  };
}

/** A table `seq` of the numbers from 1 to `last`, which only MariaDB has by itself. */
export function numbersTo(last: number): string {
  return `(WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < ${last}) SELECT seq FROM n) AS numbers`;
}

/** The keyspace of a database: `tables` says `column:type` of the shard key, or `reference`. */
export async function keyspaceOf(
  address: ShardAddress,
  tables: Readonly<Record<string, string>>,
): Promise<Keyspace> {
  const session = await EngineSession.connect(address);
  try {
    const schema = (await session.value('SELECT DATABASE()'))!;
    const names = await session.rows(
      `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND LEFT(table_name, 10) <> 'ringferry_'`,
    );
    const all = new Map<string, Table>();
    const bare = names.map(([name]) => ({ schema, name: name! }) as Table);
    for (const [key, facts] of await readTables(session, bare)) {
      const placed = tables[facts.table.name];
      const [column, type] = placed?.split(':') ?? [];
      all.set(key, {
        schema,
        name: facts.table.name,
        kind: 'table',
        placement: placed === undefined ? 'home' : placed === 'reference' ? 'reference' : 'sharded',
        key: type === undefined ? undefined : { column: column!, type: type as KeyType },
        columns: facts.columns.map((each) => ({
          name: each.name,
          type: each.type,
          typeOid: 0,
          isNotNull: !each.isNullable,
          defaultSql: undefined,
          isSequenceFilled: each.isAutoIncrement,
          isGenerated: each.isGenerated,
          hasByteOrder: false,
        })),
        primaryKey: facts.primaryKey,
        reads: [],
      });
    }
    return {
      database: schema,
      home: address.shard,
      tables: all,
      searchPath: [schema],
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

/** A client of its own, as an application has it; closed when the test ends. */
export async function client(
  address: ShardAddress,
  t: { after(end: () => Promise<void>): void },
): Promise<mysql.Connection> {
  const made = await mysql.createConnection({ uri: address.url, flags: ['+LOCAL_FILES'], dateStrings: true });
  made.on('error', () => {});
  t.after(async () => made.destroy());
  return made;
}

/** Rows of a query, values divided by `|`. */
export async function texts(url: string, sql: string): Promise<string[]> {
  const session = await EngineSession.connect({ shard: 'test', url });
  try {
    return (await session.rows(sql)).map((row) => row.map((value) => value ?? 'NULL').join('|'));
  } finally {
    await session.close();
  }
}

export async function sql(url: string, ...statements: string[]): Promise<void> {
  await runMysql(url, ...statements);
}

/** Resolves when somebody waits for an InnoDB lock. The view is renewed only when nobody has read it for a tenth of a second. */
export async function untilLockWait(source: ShardAddress, count = 1): Promise<void> {
  const waiting = `SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`;
  while (Number((await texts(source.url, waiting))[0]) < count) await sleep(150);
}
