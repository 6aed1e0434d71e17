/** The configuration after loading: defaults filled in, `${ENV}` expanded. Shapes are what the schema yields. */

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface TlsConfig {
  /** PEM files for what clients see. */
  readonly key: string;
  readonly cert: string;
  /** Asks clients for certificates signed by this. */
  readonly clientCa: string | undefined;
  /** Refuses clients without TLS. */
  readonly required: boolean;
}

export interface UserConfig {
  readonly name: string;
  readonly password: string | undefined;
  /** A SCRAM-SHA-256 verifier as in pg_authid.rolpassword. */
  readonly scram: string | undefined;
  readonly auth: 'scram' | 'md5' | 'trust';
  /** Backend credentials, if others than the shard URL's. */
  readonly backendUser: string | undefined;
  readonly backendPassword: string | undefined;
}

export interface PoolConfig {
  readonly mode: 'session' | 'transaction';
  readonly size: number;
  readonly pipeline: number;
  /** How long a client waits for a backend. */
  readonly waitTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxLifetimeMs: number;
  /** Prepared statements kept per backend. */
  readonly preparedStatements: number;
}

export interface ShardConfig {
  readonly url: string;
  readonly replicas: readonly string[];
  readonly zone: string | undefined;
}

export type TableConfig = { readonly key: string } | { readonly reference: true };

export interface DatabaseConfig {
  readonly name: string;
  readonly engine: 'postgres' | 'mysql';
  readonly pool: PoolConfig;
  readonly shards: Readonly<Record<string, ShardConfig>>;
  readonly home: string;
  readonly ring: { readonly vnodes: number };
  readonly tables: Readonly<Record<string, TableConfig>>;
  /** Verifies server certificates: like libpq's sslmode in the URL; here the CA. */
  readonly serverCa: string | undefined;
  /** MySQL: clients may send files of their own (LOAD DATA LOCAL INFILE). */
  readonly localInfile: boolean;
}

export interface LimitsConfig {
  readonly maxClients: number;
  readonly maxStartupBytes: number;
  readonly maxMessageBytes: number;
  readonly maxRequestBytes: number;
  readonly maxPreparedStatements: number;
  readonly maxPlans: number;
  readonly authTimeoutMs: number;
  readonly idleTransactionTimeoutMs: number;
  readonly maxMergeRows: number;
  readonly decisionTimeoutMs: number;
}

export interface MigrationConfig {
  readonly parallel: number;
  readonly drainTimeoutMs: number;
  readonly mirrorTimeoutMs: number;
  readonly maxLagBytes: number;
}

export interface Config {
  readonly path: string | undefined;
  readonly listen: {
    readonly postgres: HostPort | undefined;
    readonly mysql: HostPort | undefined;
    readonly admin: HostPort | undefined;
    readonly http: HostPort | undefined;
  };
  readonly workers: number | 'auto';
  readonly store: { readonly kind: 'file'; readonly path: string };
  readonly tls: TlsConfig | undefined;
  readonly admin: { readonly password: string | undefined };
  readonly mysql: { readonly serverVersion: string | undefined };
  readonly users: readonly UserConfig[];
  readonly databases: Readonly<Record<string, DatabaseConfig>>;
  readonly limits: LimitsConfig;
  readonly migration: MigrationConfig;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent' };
}
