/** What a server must be, have and allow so that rows can be moved from and to it live. */
export interface ServerNeeds {
  /** Older ones are refused by their version. */
  readonly minimum: { readonly major: number; readonly minor: number };
  /** Variables that must have a value, and what gives it to them. One that a server does not have needs none. */
  readonly variables: readonly (readonly [variable: string, value: string, remedy: string])[];
  /** On the whole server; of several any will do, and the first is asked for. */
  readonly rights: readonly (readonly [rights: readonly string[], purpose: string])[];
  /** The transactions that are prepared; `xidOf` reads a row. */
  readonly preparedSql: string;
}

function globally(variable: string, value: string): [string, string, string] {
  return [variable, value, `SET GLOBAL ${variable} = '${value}'; and in the server's configuration.`];
}

const LOGGED: ServerNeeds['variables'] = [
  ['log_bin', 'ON', "Set log_bin in the server's configuration and restart it."],
  globally('binlog_format', 'ROW'),
  globally('binlog_row_image', 'FULL'),
  globally('binlog_row_metadata', 'FULL'),
  ['read_only', 'OFF', 'Point the shard at its primary.'],
];

const READS_LOG = [['REPLICATION SLAVE'], 'read the binary log'] as const;
const SEES_PREPARED = [['PROCESS'], 'see which transactions are prepared'] as const;

/** From 10.5 on the log can name its columns, and commits can be held for a moment (BACKUP STAGE). */
export const MARIADB_NEEDS: ServerNeeds = {
  minimum: { major: 10, minor: 5 },
  variables: LOGGED,
  rights: [
    READS_LOG,
    [['BINLOG MONITOR'], 'see how long the binary log is'],
    [['RELOAD'], 'hold commits for a moment'],
    SEES_PREPARED,
  ],
  preparedSql: "XA RECOVER FORMAT='SQL'",
};

/** From 8.0 on the log can name its columns, and a prepared transaction outlives its connection and the server. */
export const MYSQL_NEEDS: ServerNeeds = {
  minimum: { major: 8, minor: 0 },
  variables: [
    ...LOGGED,
    [
      'gtid_mode',
      'ON',
      'Bring gtid_mode to ON, step by step, as in the manual under Enabling GTID Transactions Online.',
    ],
    globally('enforce_gtid_consistency', 'ON'),
    globally('binlog_transaction_compression', 'OFF'),
    globally('binlog_row_value_options', ''),
  ],
  rights: [
    READS_LOG,
    [['REPLICATION CLIENT'], 'see how long the binary log is'],
    [['RELOAD', 'FLUSH_TABLES'], 'hold commits for a moment'],
    SEES_PREPARED,
    [['XA_RECOVER_ADMIN'], 'see what the prepared transactions are called'],
  ],
  preparedSql: 'XA RECOVER CONVERT XID',
};

/** A prepared transaction's name as XA COMMIT takes it. MariaDB has it in SQL; MySQL in hex, and how long its parts are. */
export function xidOf(row: readonly (string | null)[]): string {
  const [format, globalLength, , name = ''] = row;
  const hex = /^0x([0-9a-f]*)$/i.exec(name ?? '')?.[1];
  if (hex === undefined) return row.at(-1) ?? '';
  const end = Number(globalLength) * 2;
  return `X'${hex.slice(0, end)}',X'${hex.slice(end)}',${format}`;
}
