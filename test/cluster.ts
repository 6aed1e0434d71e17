import { rm } from 'node:fs/promises';
import pg from 'pg';
import { embeddedBinaries, installedBinaries, type PostgresBinaries } from '../src/demo/postgres-binaries.js';
import {
  type PostgresOptions,
  type PostgresServer,
  startPostgresServers,
} from '../src/demo/postgres-server.js';
import { unprivilegedUser } from '../src/demo/run-as.js';
import { templateFolder } from './templates.js';

export { freePort } from '../src/demo/free-port.js';
export type { PostgresServer } from '../src/demo/postgres-server.js';

export interface ClusterOptions extends Omit<PostgresOptions, 'binaries' | 'count'> {
  readonly count?: number;
  /** 15 is Debian's, 18 the one from npm. Not given: RINGFERRY_TEST_POSTGRES, else Debian's when installed, else npm's. */
  readonly version?: 15 | 18;
}

/** Registers what is to be done at the end: node:test's `after`, or a test context's. */
export type After = (end: () => Promise<void>) => void;

/** As `after`, but what was registered last is done first: clients end before their proxy, and that before its servers. */
export function lastFirst(after: After): After {
  const endings: (() => Promise<void>)[] = [];
  after(async () => {
    for (const end of endings.reverse()) await end();
  });
  return (end) => endings.push(end);
}

/** Real Postgres servers for one test (or `before` hook); `after` stops them. */
export async function startPostgres(after: After, options: ClusterOptions = {}): Promise<PostgresServer[]> {
  const { version, count = 1, ...rest } = options;
  const binaries = await chooseBinaries(
    version ?? (Number(process.env['RINGFERRY_TEST_POSTGRES'] ?? 0) || undefined),
  );
  const template = templateFolder(binaries.copy === undefined ? binaries.folder : '18');
  const servers = await startPostgresServers({ binaries, count, template, ...rest });
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    if (binaries.copy !== undefined) await rm(binaries.copy, { recursive: true, force: true });
  });
  return servers;
}

async function chooseBinaries(version: number | undefined): Promise<PostgresBinaries> {
  if (version === 18) return embeddedBinaries(unprivilegedUser());
  const installed = installedBinaries(version ?? 15);
  if (installed !== undefined) return installed;
  if (version === undefined) return embeddedBinaries(unprivilegedUser());
  throw new Error(`PostgreSQL ${version} is not installed: apt-get install postgresql-${version}`);
}

/** Runs SQL on one connection of its own and returns the rows of the last statement. */
export async function runSql(url: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) {
      const result = (await client.query(statement)) as pg.QueryResult | pg.QueryResult[];
      rows = (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
    }
    return rows;
  } finally {
    await client.end();
  }
}
