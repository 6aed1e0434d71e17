import { MARIADB_NEEDS, MYSQL_NEEDS, type ServerNeeds } from './server-needs.js';

/** What a server says about itself in its greeting, and what follows from it. */
export interface Flavor {
  readonly isMariadb: boolean;
  /** As the greeting has it, without the `5.5.5-` that MariaDB puts before it for old replicas. */
  readonly version: string;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** COM_RESET_CONNECTION is known (MySQL 5.7.3, MariaDB 10.2.4); else COM_CHANGE_USER must do. */
  readonly hasResetConnection: boolean;
  /** '1' when the session has the roles that a login would give it now: COM_RESET_CONNECTION keeps those that were set. Undefined: no roles. */
  readonly hasOwnRolesSql: string | undefined;
  /** What the version calls a variable; undefined where it has none like it. */
  readonly names: {
    readonly isolation: string;
    readonly readOnly: string;
    /** Ends statements that take too long. MariaDB: seconds, any statement. MySQL: milliseconds, only SELECT. */
    readonly timeLimit: string | undefined;
  };
  /** The end of what is committed in the log. */
  readonly logEndSql: string;
  /** The log's file, offset, and which databases alone stand in it, or do not. */
  readonly logStatusSql: string;
  /** Holds commits for a moment, and lets them go again: statements that come one after the other. */
  readonly commitLock: {
    readonly take: readonly string[];
    readonly free: string;
    /** It waits for statements that read a table, and who uses that table later waits behind it, even once it is given up. */
    readonly waitsForReaders: boolean;
  };
  /** XA PREPARE is in the log by itself (MariaDB 10.5, MySQL 5.7.7), so that a log can be read from between the two phases. */
  readonly logsPrepared: boolean;
  /** The log can name a table's columns (binlog_row_metadata). */
  readonly logNamesColumns: boolean;
  /** Sessions can switch CHECK constraints off. */
  readonly hasCheckSwitch: boolean;
  /** `lock_wait_timeout = 0` means no wait at all, and any statement can have a time limit. */
  readonly canLockWithoutWait: boolean;
  /** information_schema.tables may tell an AUTO_INCREMENT of yesterday (information_schema_stats_expiry). */
  readonly cachesTableFacts: boolean;
  /** CREATE SEQUENCE, whose values are outside of transactions. */
  readonly hasSequences: boolean;
  /** CREATE OR REPLACE TRIGGER. */
  readonly canReplaceTriggers: boolean;
  /** Makes one SELECT end after so many milliseconds, also when it waits for a lock. */
  readonly limitedSelect: (select: string, limitMs: number) => string;
  /** For a migration. */
  readonly needs: ServerNeeds;
  /** Row aliases of INSERT, VALUES ROW(…) and TABLE t. */
  readonly knowsMysql8: boolean;
  /** Each statement that does not ask for messages clears them (MySQL 5.7); else only those that use a table do. */
  readonly forgetsMessages: boolean;
  /** Where information_schema lists InnoDB's tables. */
  readonly innodbTables: string;
  /** The log position of everything that this connection has committed. */
  readonly positionSql: string;
}

/** MariaDB's `@@last_gtid` is of this session; MySQL has only the set of the whole server. */
const MARIADB_POSITION = "SELECT IF(@@last_gtid = '', @@global.gtid_binlog_pos, @@last_gtid)";
const MYSQL_POSITION = 'SELECT @@global.gtid_executed';

const MARIADB_ROLES = `SELECT CURRENT_ROLE() <=>
  (SELECT MAX(role_name) FROM information_schema.applicable_roles WHERE is_default = 'YES')`;
/** IS_DEFAULT is there from 8.0.19; before that the question is an error, and the connection is not used again. */
const MYSQL_ROLES = `SELECT CURRENT_ROLE() = IFNULL((SELECT GROUP_CONCAT(DISTINCT CONCAT('\`', role_name, '\`@\`', role_host, '\`')
  ORDER BY role_name, role_host) FROM information_schema.applicable_roles
  WHERE is_default = 'YES' OR @@activate_all_roles_on_login), 'NONE')`;

const MARIADB_LOCK = {
  take: ['BACKUP STAGE START', 'BACKUP STAGE BLOCK_COMMIT'],
  free: 'BACKUP STAGE END',
  waitsForReaders: false,
};
/** Statements that write wait as well. LOCK INSTANCE FOR BACKUP, which they do not wait for, holds no commit. */
const MYSQL_LOCK = { take: ['FLUSH TABLES WITH READ LOCK'], free: 'UNLOCK TABLES', waitsForReaders: true };

/** Reads the greeting's server version, such as `5.5.5-10.11.14-MariaDB-0+deb12u2` or `8.0.36`. */
export function flavorOf(serverVersion: string): Flavor {
  const isMariadb = /mariadb/i.test(serverVersion);
  const version = isMariadb ? serverVersion.replace(/^5\.5\.5-(?=\d)/, '') : serverVersion;
  const [major = 0, minor = 0, patch = 0] = (/^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version)?.slice(1) ?? []).map(
    (digits) => Number(digits ?? 0),
  );
  const number = major * 10_000 + minor * 100 + patch;
  return {
    isMariadb,
    version,
    major,
    minor,
    patch,
    hasResetConnection: number >= (isMariadb ? 100_204 : 50_703),
    hasOwnRolesSql: rolesSqlOf(isMariadb, number),
    names: namesOf(isMariadb, number),
    logEndSql: isMariadb ? 'SELECT @@gtid_binlog_pos' : MYSQL_POSITION,
    logStatusSql: !isMariadb && number >= 80_200 ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS',
    commitLock: isMariadb ? MARIADB_LOCK : MYSQL_LOCK,
    logsPrepared: number >= (isMariadb ? 100_500 : 50_707),
    logNamesColumns: number >= (isMariadb ? 100_500 : 80_001),
    hasCheckSwitch: isMariadb && number >= 100_201,
    canLockWithoutWait: isMariadb && number >= 100_300,
    cachesTableFacts: !isMariadb && number >= 80_003,
    hasSequences: isMariadb && number >= 100_300,
    canReplaceTriggers: isMariadb && number >= 100_104,
    limitedSelect: isMariadb ? limitedByMariadb : limitedByMysql,
    needs: isMariadb ? MARIADB_NEEDS : MYSQL_NEEDS,
    knowsMysql8: !isMariadb && number >= 80_019,
    forgetsMessages: !isMariadb && number >= 50_700,
    innodbTables: !isMariadb && major >= 8 ? 'innodb_tables' : 'innodb_sys_tables',
    positionSql: isMariadb ? MARIADB_POSITION : MYSQL_POSITION,
  };
}

function rolesSqlOf(isMariadb: boolean, number: number): string | undefined {
  if (isMariadb) return number >= 100_101 ? MARIADB_ROLES : undefined;
  return number >= 80_000 ? MYSQL_ROLES : undefined;
}

function limitedByMariadb(select: string, limitMs: number): string {
  return `SET STATEMENT max_statement_time = ${(limitMs / 1_000).toFixed(3)} FOR ${select}`;
}

/** From 5.7.8 on; to older ones it is a comment. */
function limitedByMysql(select: string, limitMs: number): string {
  return select.replace(/^SELECT/, `SELECT /*+ MAX_EXECUTION_TIME(${Math.ceil(limitMs)}) */`);
}

/** MySQL 5.7.20 renamed the first two, MySQL 8 took the old names away; MariaDB 11.1 only says that they are old. */
function namesOf(isMariadb: boolean, number: number): Flavor['names'] {
  const isRenamed = !isMariadb && number >= 50_720;
  const prefix = isRenamed ? 'transaction' : 'tx';
  const mysqlLimit = number >= 50_708 ? 'max_execution_time' : undefined;
  const mariadbLimit = number >= 100_101 ? 'max_statement_time' : undefined;
  return {
    isolation: `${prefix}_isolation`,
    readOnly: `${prefix}_read_only`,
    timeLimit: isMariadb ? mariadbLimit : mysqlLimit,
  };
}
