import type { RouteExplanation } from '../admin/explain-route.js';
import { splitStatements } from '../sql/postgres-split.js';
import { ControlClient, quoted, type Row } from './control-client.js';
import { CommandFailure, type Io } from './io.js';
import { type CommonOptions, findConfigPath, findTarget, readConfig } from './target.js';

/** How one statement routes, as the running server or the configuration says. */
export interface Explained {
  readonly statement: string;
  readonly kind: string;
  readonly shards: string;
  readonly key: string;
  readonly shardSql: string;
  readonly problem: string | null;
  readonly hint: string | null;
}

export interface Explainer {
  /** Who said it, for people. */
  readonly source: string;
  explain(sql: string): Promise<Explained[]>;
  close(): Promise<void>;
}

/** Asks the running server; without one, reads the tables from the shards of the configuration. */
export async function openExplainer(
  io: Io,
  options: CommonOptions & { readonly database?: string },
): Promise<Explainer> {
  const target = findTarget(options, io);
  let client: ControlClient;
  try {
    client = await ControlClient.connect(target);
  } catch (error) {
    const path = findConfigPath(options, io);
    if (!(error instanceof CommandFailure) || options.admin !== undefined || path === undefined) throw error;
    // Only here: the wing and its parser take a while to load.
    const { openOfflineRouter } = await import('./offline-router.js');
    const offline = await openOfflineRouter(readConfig(path, io).config, options.database);
    const source = `${path}, database ${offline.database} (no server is running)`;
    return {
      source,
      explain: async (sql) => offline.explain(sql).map(fromExplanation),
      close: async () => {},
    };
  }
  const database = options.database === undefined ? '' : `${quotedName(options.database)}.`;
  const explainOne = async (sql: string) =>
    (await client.rows(`EXPLAIN ROUTE ${database}${sql}`)).map(fromRow);
  return {
    source: 'the running server',
    explain: async (sql) => {
      const explained: Explained[] = [];
      for (const statement of splitStatements(sql)) explained.push(...(await explainOne(statement)));
      return explained;
    },
    close: () => client.close(),
  };
}

function quotedName(name: string): string {
  return quoted(name) === name && /^[\w$-]+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function fromRow(row: Row): Explained {
  const text = (name: string) => String(row[name] ?? '');
  return {
    statement: text('statement'),
    kind: text('kind'),
    shards: text('shards'),
    key: text('key'),
    shardSql: text('shard_sql'),
    problem: row['problem'] === null ? null : text('problem'),
    hint: row['hint'] === null || row['hint'] === '' ? null : text('hint'),
  };
}

function fromExplanation({ statement, kind, shards, key, shardSql, refusal }: RouteExplanation): Explained {
  return {
    statement,
    kind,
    shards: shards.join(', '),
    key,
    shardSql,
    problem: refusal?.message ?? null,
    hint: refusal?.hint || null,
  };
}
