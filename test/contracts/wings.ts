import type { Logger } from '../../src/lib/log.js';
import type { MigrationEngine } from '../../src/migration/engine.js';
import { connectMysqlBackend } from '../../src/mysql/backend.js';
import { readKeyspace as readMysqlKeyspace } from '../../src/mysql/catalog.js';
import { encodeQuery as encodeMysqlQuery } from '../../src/mysql/commands.js';
import { createMysqlEngine } from '../../src/mysql/engine.js';
import type { Backend, BackendConnector } from '../../src/pool/backend.js';
import type { Step } from '../../src/pool/request.js';
import { connectBackend } from '../../src/postgres/backend.js';
import { readKeyspace as readPostgresKeyspace } from '../../src/postgres/catalog.js';
import { createPostgresEngine } from '../../src/postgres/engine.js';
import { encodeQuery } from '../../src/postgres/frontend-messages.js';
import type { RowsQuery } from '../../src/proxy/dialect.js';
import type { ParameterValues } from '../../src/routing/plan.js';
import type { Keyspace } from '../../src/topology/keyspace.js';
import type { After } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS, type TestEngine, type TestServer } from '../engines.js';

const TABLES = { items: { key: 'id' }, colours: { reference: true } } as const;

/** What a test of the contract needs to know of one wing. */
export interface WingContract {
  readonly name: string;
  readonly engine: TestEngine;
  readonly connect: BackendConnector;
  readonly user: string;
  readonly sql: {
    /** A table `numbers (n)` with this many rows of about a kilobyte. */
    fill(rows: number): string[];
    readonly parameter: (index: number) => string;
    readonly sleep: string;
    readonly begin: string;
    readonly rollback: string;
    /** The name that a statement cancelled by us fails with. */
    readonly cancelled: string;
    readonly uniqueViolation: string;
  };
  queryStep(sql: string): Step;
  createEngine(log: Logger): MigrationEngine;
  /** With `items (id)` sharded and `colours` a reference table. */
  readKeyspace(rows: RowsQuery, database: string): Promise<Keyspace>;
  /** Parameters of integers, as a client of this wing binds them. */
  integers(...values: number[]): ParameterValues;
}

export const WINGS: readonly WingContract[] = [
  {
    name: 'Postgres',
    engine: POSTGRES_TESTS,
    connect: connectBackend,
    user: 'postgres',
    sql: {
      fill: (rows) => [
        'CREATE TABLE numbers (n int PRIMARY KEY, filling text)',
        `INSERT INTO numbers SELECT n, repeat('x', 1000) FROM generate_series(1, ${rows}) n`,
      ],
      parameter: (index) => `$${index}`,
      sleep: 'SELECT pg_sleep(60)',
      begin: 'BEGIN',
      rollback: 'ROLLBACK',
      cancelled: '57014',
      uniqueViolation: '23505',
    },
    queryStep: (sql) => ({ type: 'query', sql, frame: encodeQuery(sql) }),
    createEngine: (log) => createPostgresEngine({ log }),
    readKeyspace: (rows, database) => readPostgresKeyspace(rows, database, 'a', TABLES),
    integers: (...values) => ({
      count: values.length,
      typeOid: () => 23,
      format: () => 0,
      bytes: (index) => Buffer.from(String(values[index])),
    }),
  },
  {
    name: 'MariaDB',
    engine: MARIADB_TESTS,
    connect: connectMysqlBackend,
    user: 'root',
    sql: {
      fill: (rows) => [
        'CREATE TABLE numbers (n int PRIMARY KEY, filling text)',
        `INSERT INTO numbers SELECT seq, repeat('x', 1000) FROM seq_1_to_${rows}`,
      ],
      parameter: () => '?',
      sleep: 'SELECT 1 FROM numbers WHERE sleep(60) = 0',
      begin: 'START TRANSACTION',
      rollback: 'ROLLBACK',
      cancelled: '70100',
      uniqueViolation: '23000',
    },
    queryStep: (sql) => ({ type: 'query', sql, frame: encodeMysqlQuery(sql) }),
    createEngine: (log) => createMysqlEngine({ log }),
    readKeyspace: (rows, database) => readMysqlKeyspace(rows, database, 'a', TABLES),
    integers: (...values) => ({
      count: values.length,
      typeOid: () => 3,
      format: () => 1,
      bytes: (index) => {
        const bytes = Buffer.alloc(4);
        bytes.writeInt32LE(values[index]!);
        return bytes;
      },
    }),
  },
];

/** One connection of the wing to its server, ended by `after`. */
export async function connectTo(wing: WingContract, server: TestServer, after: After): Promise<Backend> {
  const { database } = wing.engine;
  const target = {
    shard: 'a',
    url: server.url(database),
    user: wing.user,
    password: undefined,
    database,
  };
  const backend = await wing.connect(target, new Map(), AbortSignal.timeout(10_000));
  after(async () => backend.terminate());
  return backend;
}
