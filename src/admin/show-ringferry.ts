import { parseShardUrl, urlDatabase } from '../config/address.js';
import { ENGINES } from '../config/engines.js';
import { OperatingError } from '../lib/errors.js';
import { chosenDatabases, requireSnapshot } from './choose-database.js';
import { type Arguments, type Command, columns, OPTIONAL_DATABASE, type Row } from './command.js';
import type { Control, ShardProbe } from './control.js';
import { explainRoute } from './explain-route.js';
import {
  MIGRATION_COLUMNS,
  MIGRATION_DETAIL_COLUMNS,
  migrationDetail,
  migrationRow,
  round,
} from './migration-rows.js';
import { ringSegments, shardShares } from './ring-segments.js';
import { formatTime } from './show-pgbouncer.js';

const showRing: Command = {
  words: 'SHOW RING',
  kind: 'show',
  parameters: OPTIONAL_DATABASE,
  options: [],
  summary: 'every range of tokens with its owner, and where it is moving',
  columns: columns(
    'int8',
    'low high',
    'text',
    'owner',
    'numeric',
    'share_percent',
    'text',
    'migration move other',
  ),
  run: ({ control }, given) =>
    ringSegments(requireSnapshot(control, given)).map(({ low, high, owner, sharePercent, move }) => [
      low,
      high,
      owner,
      sharePercent,
      move?.migration ?? null,
      move?.state ?? null,
      move?.other ?? null,
    ]),
};

const showShards: Command = {
  words: 'SHOW SHARDS',
  kind: 'show',
  parameters: OPTIONAL_DATABASE,
  options: [],
  summary: 'the shards: where they are, whether they answer, and what they own',
  columns: columns(
    'text',
    'database shard host',
    'int4',
    'port',
    'text',
    'dbname',
    'bool',
    'home serving reachable',
    'numeric',
    'round_trip_ms owns_percent',
    'int4',
    'points servers_active servers_idle waiting',
    'text',
    'error',
  ),
  run: async ({ control }, given) => {
    const probes = await control.probeShards();
    return chosenDatabases(control, given).flatMap((name) => shardRows(control, name, probes));
  },
};

function shardRows(control: Control, name: string, probes: readonly ShardProbe[]): Row[] {
  const snapshot = control.snapshot(name);
  if (snapshot === undefined) return [];
  const engine = control.config().databases[name]?.engine ?? 'postgres';
  const shares = shardShares(snapshot.ring);
  const pools = control.pools().filter((pool) => pool.database === name);
  return snapshot.shards.map((shard) => {
    const url = parseShardUrl(shard.url, engine);
    const place =
      url instanceof URL
        ? [url.hostname, Number(url.port || ENGINES[engine].defaultPort), urlDatabase(url)]
        : [null, null, null];
    const probe = probes.find((entry) => entry.database === name && entry.shard === shard.name);
    const sum = (what: 'serversActive' | 'serversIdle' | 'leasesWaiting') =>
      pools.reduce((total, pool) => (pool.shard === shard.name ? total + pool[what] : total), 0);
    const points = snapshot.ring.points.filter((point) => point.owner === shard.name).length;
    return [
      name,
      shard.name,
      ...place,
      shard.name === snapshot.home,
      shard.isServing,
      probe?.isReachable ?? null,
      probe?.isReachable ? round(probe.roundTripMs) : null,
      shares.get(shard.name) ?? 0,
      points,
      sum('serversActive'),
      sum('serversIdle'),
      sum('leasesWaiting'),
      probe?.error ?? '',
    ];
  });
}

const showTables: Command = {
  words: 'SHOW TABLES',
  kind: 'show',
  parameters: OPTIONAL_DATABASE,
  options: [],
  summary: 'the tables of sharded databases and where their rows live',
  columns: columns('text', 'database table kind placement key key_type primary_key'),
  run: async ({ control }, given) => {
    const rows = await Promise.all(chosenDatabases(control, given).map((name) => tableRows(control, name)));
    return rows.flat();
  },
};

async function tableRows(control: Control, name: string): Promise<Row[]> {
  const tables = [...((await control.keyspace(name))?.tables.values() ?? [])];
  return tables.map(({ schema, name: table, kind, placement, key, primaryKey }) => [
    name,
    `${schema}.${table}`,
    kind,
    placement,
    key?.column ?? null,
    key?.type ?? null,
    primaryKey.join(', '),
  ]);
}

const showMigrations: Command = {
  words: 'SHOW MIGRATIONS',
  kind: 'show',
  parameters: OPTIONAL_DATABASE,
  options: [],
  summary: 'migrations, the newest last',
  columns: MIGRATION_COLUMNS,
  run: ({ control }, given) => {
    const chosen = new Set(chosenDatabases(control, given));
    return control
      .migrations()
      .filter(({ record }) => chosen.has(record.database))
      .map(migrationRow);
  },
};

const showMigration: Command = {
  words: 'SHOW MIGRATION',
  kind: 'show',
  parameters: [{ name: 'id', isRequired: true }],
  options: [],
  summary: 'everything about one migration',
  columns: MIGRATION_DETAIL_COLUMNS,
  run: ({ control }, given) => {
    const found = control.migrations().find(({ record }) => record.id === given['id']);
    if (found === undefined)
      throw new OperatingError('invalid-parameter', `there is no migration ${given['id']}`, {
        hint: 'SHOW MIGRATIONS lists them.',
      });
    return migrationDetail(found);
  },
};

const showProxies: Command = {
  words: 'SHOW PROXIES',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'the proxies that take part, and the epochs they have seen',
  columns: columns(
    'text',
    'id address',
    'int4',
    'pid',
    'text',
    'started_at',
    'int4',
    'clients',
    'text',
    'epochs',
  ),
  run: ({ control }) =>
    control
      .proxies()
      .map((proxy) => [
        proxy.id,
        proxy.address,
        proxy.processId,
        formatTime(proxy.startedAtMs),
        proxy.clients,
        proxy.epochs,
      ]),
};

const TEMPLATES_SHOWN = 100;

const showTemplates: Command = {
  words: 'SHOW TEMPLATES',
  kind: 'show',
  parameters: OPTIONAL_DATABASE,
  options: [],
  summary: 'the busiest statements and how they route',
  columns: columns(
    'text',
    'database template verb route',
    'int8',
    'calls',
    'numeric',
    'mean_ms total_ms',
    'int8',
    'errors',
  ),
  run: ({ control }, given) =>
    chosenDatabases(control, given).flatMap((name) =>
      control
        .templates(name, TEMPLATES_SHOWN)
        .map(
          (template): Row => [
            name,
            template.template,
            template.verb,
            template.route,
            template.calls,
            round(template.totalMs / Math.max(1, template.calls)),
            round(template.totalMs),
            template.errors,
          ],
        ),
    ),
};

const showDrift: Command = {
  words: 'SHOW DRIFT',
  kind: 'show',
  parameters: OPTIONAL_DATABASE,
  options: [],
  summary: 'where the tables of the shards differ; no rows: they are all the same',
  columns: columns('text', 'database table shard difference'),
  run: async ({ control }, given) => {
    const found = await Promise.all(chosenDatabases(control, given).map((name) => control.drift(name)));
    return found.flat().map((drift) => [drift.database, drift.table, drift.shard, drift.difference]);
  },
};

const explain: Command = {
  words: 'EXPLAIN ROUTE',
  kind: 'show',
  parameters: [{ name: 'sql', isRequired: true, isRest: true }],
  options: ['database'],
  summary: 'which shards a statement goes to; `EXPLAIN ROUTE shop.SELECT …` names the database',
  columns: columns('text', 'statement kind shards key shard_sql sqlstate problem hint'),
  run: ({ control }, given) => explainRows(control, given),
};

async function explainRows(control: Control, given: Arguments): Promise<Row[]> {
  const { database, sql } = namedDatabase(control, given);
  const snapshot = requireSnapshot(control, database === undefined ? {} : { database });
  const router = await control.router(snapshot.database);
  if (router === undefined) return [[sql, 'pass-through', snapshot.home, '', '', null, null, null]];
  return explainRoute(router, snapshot, sql).map((explained) => [
    explained.statement,
    explained.kind,
    explained.shards.join(', '),
    explained.key,
    explained.shardSql,
    explained.refusal?.sqlstate ?? null,
    explained.refusal?.message ?? null,
    explained.refusal?.hint ?? null,
  ]);
}

/** `database.SELECT …`: no statement starts with a name and a dot. */
function namedDatabase(control: Control, given: Arguments): { database: string | undefined; sql: string } {
  const sql = given['sql'] ?? '';
  if (given['database'] !== undefined) return { database: given['database'], sql };
  const match = /^\s*(?:"((?:[^"]|"")+)"|([\w$-]+))\s*\.\s*(.*)$/s.exec(sql);
  const name = match?.[1]?.replaceAll('""', '"') ?? match?.[2];
  const isKnown = control.databases().some((database) => database.name === name);
  return match !== null && isKnown ? { database: name, sql: match[3]! } : { database: undefined, sql };
}

export const RINGFERRY_SHOWS: readonly Command[] = [
  showRing,
  showShards,
  showTables,
  showMigrations,
  showMigration,
  showProxies,
  showTemplates,
  showDrift,
  explain,
];
