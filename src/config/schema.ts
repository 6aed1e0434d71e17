import { z } from 'zod';

/**
 * The one table of settings: type, default, whether RELOAD changes it, and what it means. The loader, the JSON Schema
 * file, `docs/configuration.md` and SHOW CONFIG are made from it. Values are as written in YAML; `load.ts` turns them
 * into the `Config` of config.ts.
 */

interface SettingFacts {
  /** Shown in the documentation and by editors. */
  readonly doc: string;
  /** RELOAD and SIGHUP apply a change; otherwise it waits for the next start. */
  readonly reloadable: boolean;
}

function setting<T extends z.ZodType>(type: T, reloadable: boolean, doc: string): T {
  const facts: SettingFacts = { doc, reloadable };
  return type.meta({ description: facts.doc, reloadable: facts.reloadable }) as T;
}

const name = z.string().min(1);
const filePath = z.string().min(1);
const milliseconds = z.int().min(0);
const count = z.int().min(1);
const bytes = z.int().min(1);
const address = z.string().min(1);

const listen = z.strictObject({
  postgres: setting(
    address.default('127.0.0.1:6432'),
    false,
    'Where Postgres clients connect, as `host:port`.',
  ),
  mysql: setting(
    address.default('127.0.0.1:6033'),
    false,
    'Where MySQL and MariaDB clients connect, when a database has `engine: mysql`.',
  ),
  admin: setting(
    z.union([address, z.literal(false)]).default('127.0.0.1:6433'),
    false,
    'The control port (`psql -p 6433 ringferry`). Anything but loopback needs `admin.password`. `false` turns it off.',
  ),
  http: setting(
    z.union([address, z.literal(false)]).default('127.0.0.1:9432'),
    false,
    'Metrics, health, API and dashboard. Anything but loopback needs `admin.password` for the API and the dashboard. `false` turns it off.',
  ),
});

const store = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: setting(
      z.literal('file'),
      false,
      'Where ring, epochs and migrations are kept: `file` for one host.',
    ),
    path: setting(
      filePath,
      false,
      'Folder of the file store. A relative path starts at the folder of this file.',
    ),
  }),
  z.strictObject({
    kind: setting(
      z.literal('etcd'),
      false,
      'Not in this release: write `store: { kind: file, path: ./ringferry-state }`.',
    ),
    endpoints: setting(z.array(z.string()), false, 'Not in this release.'),
    prefix: setting(z.string().optional(), false, 'Not in this release.'),
  }),
]);

const tls = z.strictObject({
  key: setting(filePath, false, 'PEM file with the private key that clients see.'),
  cert: setting(filePath, false, 'PEM file with the certificate (and chain) that clients see.'),
  client_ca: setting(filePath.optional(), false, 'PEM file: clients must show a certificate signed by it.'),
  required: setting(z.boolean().default(false), false, 'Refuse clients that do not use TLS.'),
});

const mysql = z.strictObject({
  server_version: setting(
    name.max(60).optional(),
    false,
    'The version that MySQL clients are told; drivers decide by it what they may use. Not given: that of a MariaDB 10.11.',
  ),
});

const admin = z.strictObject({
  password: setting(
    z.string().min(1).optional(),
    true,
    'Password of the control port, the API and the dashboard.',
  ),
});

const user = z.strictObject({
  name: setting(name, true, 'The name the client logs in with.'),
  password: setting(z.string().min(1).optional(), true, 'The password, best as `"${ENV}"`.'),
  scram: setting(
    z.string().min(1).optional(),
    true,
    'Instead of a password: a SCRAM-SHA-256 verifier as in `pg_authid.rolpassword`.',
  ),
  auth: setting(
    z.enum(['scram', 'md5', 'trust']).default('scram'),
    true,
    'How the client proves who it is. `trust` asks for nothing.',
  ),
  backend_user: setting(name.optional(), true, "Log in to the shards as this user instead of the URL's."),
  backend_password: setting(z.string().optional(), true, 'Password for `backend_user`.'),
});

const pool = z.strictObject({
  mode: setting(
    z.enum(['session', 'transaction']).default('transaction'),
    false,
    'When a backend returns to the pool: at the end of the `session` or of the `transaction`.',
  ),
  size: setting(
    count.default(20),
    false,
    'Most backends per shard and user for clients. What the proxy asks itself has up to two more per shard.',
  ),
  pipeline: setting(
    z.int().min(1).max(1_000).default(16),
    false,
    'Most reads of different clients that stand in line on one backend at once. 1: none does.',
  ),
  wait_timeout_ms: setting(
    milliseconds.default(30_000),
    false,
    'How long a client waits for a backend before it gets an error.',
  ),
  connect_timeout_ms: setting(milliseconds.default(5_000), false, 'How long connecting to a shard may take.'),
  idle_timeout_ms: setting(
    milliseconds.default(600_000),
    false,
    'Backends unused for this long are closed; 0 keeps them.',
  ),
  max_lifetime_ms: setting(
    milliseconds.default(3_600_000),
    false,
    'Backends older than this are replaced when idle; 0 keeps them.',
  ),
  prepared_statements: setting(
    count.default(500),
    false,
    'Prepared statements kept on one backend; the least used is closed first.',
  ),
});

const shard = z.strictObject({
  url: setting(
    z.string().min(1),
    false,
    "`postgres://user:password@host:port/database?sslmode=…`. Without a user, the client's own name and password are used.",
  ),
  replicas: setting(
    z.array(z.string()).default([]),
    false,
    'URLs of replicas. Not used in this release: all statements go to `url`.',
  ),
  zone: setting(name.optional(), false, 'A label for people and dashboards.'),
});

const table = z.strictObject({
  key: setting(name.optional(), false, 'The table is sharded; this column is the shard key.'),
  reference: setting(z.literal(true).optional(), false, '`true`: a full copy on every shard.'),
});

const database = z.strictObject({
  engine: setting(
    z.enum(['postgres', 'mysql']).default('postgres'),
    false,
    '`postgres`, or `mysql` for MySQL and MariaDB.',
  ),
  pool: pool.prefault({}),
  shards: z.record(name, shard),
  home: setting(
    name.optional(),
    false,
    'The shard with the tables that are not listed under `tables`. May be left out with one shard.',
  ),
  ring: z
    .strictObject({
      vnodes: setting(
        z.int().min(1).max(4096).default(64),
        false,
        "Points per shard on the ring's first state. Later the store owns the ring.",
      ),
    })
    .prefault({}),
  tables: z.record(name, table).default({}),
  server_ca: setting(
    filePath.optional(),
    false,
    "PEM file that the shards' certificates are verified with (`sslmode=verify-ca` and `verify-full`).",
  ),
  local_infile: setting(
    z.boolean().default(false),
    false,
    'MySQL: lets clients send files of their own (`LOAD DATA LOCAL INFILE`). Off, they are not asked for any.',
  ),
  auth_query: setting(z.string().optional(), false, 'Not in this release: list the users under `users`.'),
});

const limits = z.strictObject({
  max_clients: setting(count.default(10_000), true, 'Most clients at once; the next one gets an error.'),
  max_startup_bytes: setting(
    bytes.default(10_000),
    false,
    "Longest startup packet (Postgres' own limit is 10000).",
  ),
  max_message_bytes: setting(bytes.default(1_073_741_823), false, 'Longest single message of a client.'),
  max_request_bytes: setting(
    bytes.default(268_435_456),
    false,
    'Most bytes of one request (all messages up to Sync) kept in memory.',
  ),
  max_prepared_statements: setting(count.default(10_000), false, 'Most prepared statements of one client.'),
  max_plans: setting(count.default(5_000), false, 'Statement templates whose plan is kept, per database.'),
  auth_timeout_ms: setting(
    milliseconds.default(60_000),
    false,
    'A client must have logged in after this time.',
  ),
  idle_transaction_timeout_ms: setting(
    milliseconds.default(0),
    false,
    'A transaction in which the client is silent for this long is ended; 0: never.',
  ),
  max_merge_rows: setting(
    count.default(1_000_000),
    false,
    'Most rows that one scatter may have to keep in memory for sorting or grouping.',
  ),
  decision_timeout_ms: setting(
    milliseconds.default(30_000),
    false,
    'A COMMIT over several shards waits this long for the store to keep the decision; then its client hears that the outcome is not known yet.',
  ),
});

const migration = z.strictObject({
  parallel: setting(count.default(4), false, 'COPY streams at once per source.'),
  drain_timeout_ms: setting(
    milliseconds.default(2_000),
    false,
    'A cutover waits this long for open transactions on the moving ranges; then it releases everything and tries again.',
  ),
  mirror_timeout_ms: setting(
    milliseconds.default(2_000),
    false,
    'An acknowledgement waits at most this long for the other owner; then the migration steps back to catching up.',
  ),
  max_lag_bytes: setting(bytes.default(16_777_216), false, 'Mirroring starts below this lag.'),
});

/** The configuration file as written. */
export const configSchema = z
  .strictObject({
    listen: listen.prefault({}),
    workers: setting(
      z.union([z.int().min(1).max(64), z.literal('auto')]).default(1),
      false,
      'Processes that serve clients; auto: one for each core. See operations.md.',
    ),
    store: store.default({ kind: 'file', path: './ringferry-state' }),
    tls: tls.optional(),
    admin: admin.prefault({}),
    mysql: mysql.prefault({}),
    users: z.array(user).min(1),
    databases: z.record(name, database),
    limits: limits.prefault({}),
    migration: migration.prefault({}),
    log: z
      .strictObject({
        level: setting(
          z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
          false,
          'Least weight of what is logged.',
        ),
      })
      .prefault({}),
  })
  .meta({ title: 'Ringferry configuration' });

/** What the file says, defaults filled in. */
export type WrittenConfig = z.output<typeof configSchema>;
export type WrittenDatabase = WrittenConfig['databases'][string];

/** JSON Schema of the file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' }) as Record<string, unknown>;
}
