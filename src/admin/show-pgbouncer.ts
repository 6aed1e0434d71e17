import { parseShardUrl, urlDatabase } from '../config/address.js';
import { ENGINES } from '../config/engines.js';
import { runningSettings } from '../config/running.js';
import { type Cell, type Command, columns, type Row } from './command.js';
import type { ClientState, Control, PoolState, ServerState } from './control.js';
import type { StatsTotals } from './stats-window.js';

/*
 * PgBouncer's SHOW words with PgBouncer 1.24's columns in its order, so that exporters and dashboards made for it work.
 * A pool of PgBouncer is a couple of database and user; where we have one pool per shard, they are summed.
 */

const SOCKET_COLUMNS = columns(
  'text',
  'type user database replication state addr',
  'int4',
  'port',
  'text',
  'local_addr',
  'int4',
  'local_port',
  'text',
  'connect_time request_time',
  'int4',
  'wait wait_us close_needed',
  'text',
  'ptr link',
  'int4',
  'remote_pid',
  'text',
  'tls application_name',
  'int4',
  'prepared_statements id',
);

const showClients: Command = {
  words: 'SHOW CLIENTS',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'one row per client connection, with why it stays on its backend',
  // PgBouncer's columns first; ours after them.
  columns: [...SOCKET_COLUMNS, ...columns('text', 'pinned')],
  run: ({ control }) => control.clients().map(clientRow),
};

function clientRow(client: ClientState): Row {
  return [
    'C',
    client.user,
    client.database,
    'none',
    client.phase,
    client.address,
    client.port,
    client.localAddress,
    client.localPort,
    formatTime(client.connectedAtMs),
    formatTime(client.requestAtMs),
    ...splitWait(client.waitMs),
    0,
    `c${client.id}`,
    client.servers.map((id) => `s${id}`).join(' '),
    0,
    client.tls,
    client.applicationName,
    client.preparedStatements,
    client.id,
    client.pinned,
  ];
}

const showServers: Command = {
  words: 'SHOW SERVERS',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'one row per connection to a database server, with its shard',
  // PgBouncer's columns first; ours after them.
  columns: [...SOCKET_COLUMNS, ...columns('text', 'shard')],
  run: ({ control }) => {
    const names = new Map(control.clients().map((client) => [client.id, client.applicationName]));
    return control.servers().map((server) => serverRow(server, names));
  },
};

const SERVER_STATES = { idle: 'idle', active: 'active', connecting: 'new' } as const;

function serverRow(server: ServerState, applicationNames: ReadonlyMap<number, string>): Row {
  const link = server.client === undefined ? '' : `c${server.client}`;
  const name = server.client === undefined ? '' : (applicationNames.get(server.client) ?? '');
  return [
    'S',
    server.user,
    server.database,
    'none',
    SERVER_STATES[server.phase],
    server.address,
    server.port,
    server.localAddress,
    server.localPort,
    formatTime(server.connectedAtMs),
    formatTime(server.requestAtMs),
    0,
    0,
    server.isClosing ? 1 : 0,
    `s${server.id}`,
    link,
    server.processId,
    server.tls,
    name,
    server.preparedStatements,
    server.id,
    server.shard,
  ];
}

const showPools: Command = {
  words: 'SHOW POOLS',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'one row per database and user, all shards together',
  columns: columns(
    'text',
    'database user',
    'int4',
    'cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us',
    'text',
    'pool_mode load_balance_hosts',
  ),
  run: ({ control }) => [...couples(control).values()].map(poolRow),
};

interface Couple {
  readonly database: string;
  readonly user: string;
  readonly clients: ClientState[];
  readonly pools: PoolState[];
}

/** Clients and pools by (database, user). */
function couples(control: Control): Map<string, Couple> {
  const found = new Map<string, Couple>();
  const coupleOf = (database: string, user: string): Couple => {
    const key = JSON.stringify([database, user]);
    const couple = found.get(key) ?? { database, user, clients: [], pools: [] };
    found.set(key, couple);
    return couple;
  };
  for (const pool of control.pools()) coupleOf(pool.database, pool.user).pools.push(pool);
  for (const client of control.clients()) coupleOf(client.database, client.user).clients.push(client);
  return found;
}

function poolRow({ database, user, clients, pools }: Couple): Row {
  const waiting = clients.filter((client) => client.phase === 'waiting');
  const sum = (count: (pool: PoolState) => number) => pools.reduce((total, pool) => total + count(pool), 0);
  const maxWaitMs = Math.max(
    0,
    ...waiting.map((client) => client.waitMs),
    ...pools.map((pool) => pool.oldestWaitMs),
  );
  return [
    database,
    user,
    clients.length - waiting.length,
    waiting.length,
    0,
    0,
    sum((pool) => pool.serversActive),
    0,
    0,
    sum((pool) => pool.serversIdle),
    0,
    0,
    sum((pool) => pool.serversConnecting),
    ...splitWait(maxWaitMs),
    pools[0]?.mode ?? 'transaction',
    null,
  ];
}

const TOTALS =
  'server_assignment_count xact_count query_count received sent xact_time query_time wait_time client_parse_count server_parse_count bind_count';
const AVERAGES = TOTALS.replace('received', 'recv');

const showStats: Command = {
  words: 'SHOW STATS',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'totals since the start and averages of the last minute, per database',
  columns: columns(
    'text',
    'database',
    'numeric',
    prefix('total_', TOTALS),
    'numeric',
    prefix('avg_', AVERAGES),
  ),
  run: ({ stats }) =>
    [...stats.totals()].map(([name, totals]) => [
      name,
      ...statsCells(totals),
      ...statsCells(stats.averages(name)),
    ]),
};

function prefix(before: string, names: string): string {
  return names
    .split(' ')
    .map((name) => before + name)
    .join(' ');
}

function statsCells(totals: StatsTotals): Cell[] {
  const { serverAssignments, transactions, statements, received, sent, transactionUs, statementUs, waitUs } =
    totals;
  const times = [transactionUs, statementUs, waitUs];
  return [
    serverAssignments,
    transactions,
    statements,
    received,
    sent,
    ...times,
    totals.clientParses,
    totals.serverParses,
    totals.binds,
  ];
}

const showDatabases: Command = {
  words: 'SHOW DATABASES',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'the databases that clients can name; host and port are those of the home shard',
  columns: columns(
    'text',
    'name host',
    'int4',
    'port',
    'text',
    'database force_user',
    'int4',
    'pool_size min_pool_size reserve_pool_size server_lifetime',
    'text',
    'pool_mode load_balance_hosts',
    'int4',
    'max_connections current_connections max_client_connections current_client_connections paused disabled',
  ),
  run: ({ control }) => control.databases().map((state) => databaseRow(control, state.name)),
};

function databaseRow(control: Control, name: string): Row {
  const state = control.databases().find((database) => database.name === name);
  const config = control.config().databases[name] ?? control.config().databases['*'];
  const engine = config?.engine ?? 'postgres';
  const url = config === undefined ? undefined : parseShardUrl(config.shards[config.home]?.url ?? '', engine);
  const parsed = url instanceof URL ? url : undefined;
  const servers = control.servers().filter((server) => server.database === name).length;
  const clients = control.clients().filter((client) => client.database === name).length;
  return [
    name,
    parsed?.hostname ?? null,
    Number(parsed?.port || ENGINES[engine].defaultPort),
    (parsed && urlDatabase(parsed)) || name,
    parsed?.username || null,
    config?.pool.size ?? 0,
    0,
    0,
    Math.round((config?.pool.maxLifetimeMs ?? 0) / 1000),
    config?.pool.mode ?? null,
    null,
    0,
    servers,
    control.config().limits.maxClients,
    clients,
    state?.isPaused ? 1 : 0,
    0,
  ];
}

const showConfig: Command = {
  words: 'SHOW CONFIG',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'the settings as they run; changeable ones follow RELOAD',
  columns: columns('text', 'key value default changeable'),
  run: ({ control }) =>
    runningSettings(control.config()).map((row) => [
      row.key,
      row.value,
      row.default,
      row.isReloadable ? 'yes' : 'no',
    ]),
};

const showVersion: Command = {
  words: 'SHOW VERSION',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'the version of Ringferry',
  columns: columns('text', 'version'),
  run: ({ control }) => [[`Ringferry ${control.version}`]],
};

const showUsers: Command = {
  words: 'SHOW USERS',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'the users that may log in',
  columns: columns(
    'text',
    'name pool_size reserve_pool_size pool_mode',
    'int4',
    'max_user_connections current_connections max_user_client_connections current_client_connections',
  ),
  run: ({ control }) =>
    control.config().users.map(({ name }) => {
      const servers = control.servers().filter((server) => server.user === name).length;
      return [
        name,
        '',
        '',
        null,
        0,
        servers,
        0,
        control.clients().filter((client) => client.user === name).length,
      ];
    }),
};

const showLists: Command = {
  words: 'SHOW LISTS',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'how many of everything there are',
  columns: columns('text', 'list', 'int4', 'items'),
  run: ({ control }) => [
    ['databases', control.databases().length],
    ['users', control.config().users.length],
    ['peers', 0],
    ['pools', couples(control).size],
    ['peer_pools', 0],
    ['free_clients', 0],
    ['used_clients', control.clients().length],
    ['login_clients', 0],
    ['free_servers', 0],
    ['used_servers', control.servers().length],
    ['dns_names', 0],
    ['dns_zones', 0],
    ['dns_queries', 0],
    ['dns_pending', 0],
  ],
};

/** As PgBouncer writes times. */
export function formatTime(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function splitWait(waitMs: number): [number, number] {
  const microseconds = Math.round(waitMs * 1000);
  return [Math.floor(microseconds / 1_000_000), microseconds % 1_000_000];
}

export const PGBOUNCER_SHOWS: readonly Command[] = [
  showPools,
  showClients,
  showServers,
  showStats,
  showDatabases,
  showConfig,
  showVersion,
  showUsers,
  showLists,
];
