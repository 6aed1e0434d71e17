import type { LimitsConfig } from '../config/config.js';
import type { Step } from '../pool/request.js';
import type { Dialect, TransactionWords } from '../proxy/dialect.js';
import { createPassThroughRouter, createPostgresRouter } from '../routing/postgres-router.js';
import { connectBackend } from './backend.js';
import { readKeyspace } from './catalog.js';
import { encodeCopyFail, encodeQuery } from './frontend-messages.js';
import { hiddenWritesSql } from './hidden-writes.js';
import { leaseNumbers } from './numbers.js';
import { quoteIdentifier, quoteLiteral } from './quoting.js';
import { postgresValues } from './values.js';

/** Parameters of the startup packet that are no settings (PostgreSQL manual 55.7, StartupMessage). */
const NOT_SETTINGS = new Set(['user', 'database', 'options', 'replication']);

const words: TransactionWords = {
  begin: 'BEGIN',
  open: (sql) => [sql],
  commit: () => ['COMMIT'],
  rollback: () => ['ROLLBACK'],
  abandon: 'ROLLBACK',
  savepoint: (name) => `SAVEPOINT ${quoteIdentifier(name)}`,
  rollbackTo: (name) => `ROLLBACK TO SAVEPOINT ${quoteIdentifier(name)}`,
  release: (name) => `RELEASE SAVEPOINT ${quoteIdentifier(name)}`,
  prepare: (gid) => [`PREPARE TRANSACTION ${quoteLiteral(gid)}`],
  commitPrepared: (gid) => `COMMIT PREPARED ${quoteLiteral(gid)}`,
  rollbackPrepared: (gid) => `ROLLBACK PREPARED ${quoteLiteral(gid)}`,
  listPrepared: 'SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()',
  preparedGid: ([gid]) => gid,
  tags: {
    begin: 'BEGIN',
    commit: 'COMMIT',
    rollback: 'ROLLBACK',
    savepoint: 'SAVEPOINT',
    release: 'RELEASE',
  },
};

/** The Postgres wing as the hall knows it. */
export const postgresDialect: Dialect = {
  engine: 'postgres',
  connect: connectBackend,
  words,
  manners: {
    anyErrorFailsTransaction: true,
    severalStatementsAreOne: true,
    settingsRollBack: true,
    beginCommits: false,
    savepointsNeedTransaction: true,
  },
  fateOf: () => 'transaction-failed',
  connectionStartup: () => new Map(),
  warnings: undefined,
  hiddenWritesSql,
  remembered: () => undefined,
  recall: () => [],
  // Its servers refuse what is not right in the encoding that was said.
  writesUtf8: () => true,
  askedBehind: () => undefined,
  askedOfNumber: () => undefined,
  mayKeepNumber: () => false,
  tagAsAnswered: ({ tag }) => tag,
  tellState: () => undefined,
  // RESET ALL leaves role and session authorization alone (PostgreSQL manual, RESET).
  resetSettings: () => 'RESET SESSION AUTHORIZATION; RESET ALL',
  startupDefaults: new Map([['application_name', '']]),
  startupSetting: (name, value) => {
    if (NOT_SETTINGS.has(name) || name.startsWith('_pq_.')) return undefined;
    // set_config takes lists such as search_path as the startup packet does; SET would quote them as one name.
    return `SELECT pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)`;
  },
  startupOptions,
  queryStep: (sql): Step => ({ type: 'query', sql, frame: encodeQuery(sql) }),
  sumTags,
  mergedTag: (rows) => `SELECT ${rows}`,
  copyPayload: (frame) => frame.subarray(5),
  copyFail: (reason) => encodeCopyFail(reason),
  mergeValues: () => postgresValues,
  createRouter: (keyspace, limits: LimitsConfig) => createPostgresRouter(keyspace, limits),
  createPassThroughRouter: (database, limits: LimitsConfig) => createPassThroughRouter(database, limits),
  readKeyspace: (rows, database) => readKeyspace(rows, database.name, database.home, database.tables),
  leaseNumbers,
  highestNumberSql: () => undefined,
  firstNumberSql: () => undefined,
  tagWithNumber: (tag) => tag,
  withDatabase: (url, database) => {
    const changed = new URL(url);
    changed.pathname = `/${encodeURIComponent(database)}`;
    return changed.href;
  },
};

/** `INSERT 0 2` and `INSERT 0 3` are `INSERT 0 5` together; tags without a count are all the same. */
function sumTags(tags: readonly (string | undefined)[]): string {
  const known = tags.filter((tag) => tag !== undefined);
  const first = known[0];
  if (first === undefined) return '';
  const count = /^(.* )(\d+)$/.exec(first);
  if (count === null) return first;
  const sum = known.reduce((total, tag) => total + Number(/(\d+)$/.exec(tag)?.[1] ?? 0), 0);
  return `${count[1]}${sum}`;
}

/** The command line options that `options` may hold: `-c name=value`, `-cname=value`, `--name=value`; a backslash keeps a blank (manual 55.7). */
function startupOptions(options: string): [string, string][] {
  const words = (options.match(/(?:\\.|[^\s\\])+/gs) ?? []).map((word) => word.replace(/\\(.)/gs, '$1'));
  const settings: [string, string][] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    let setting: string | undefined;
    if (word === '-c') setting = words[++index];
    else if (word.startsWith('-c')) setting = word.slice(2);
    else if (word.startsWith('--')) setting = word.slice(2);
    const [name, ...value] = (setting ?? '').split('=');
    if (name && value.length > 0) settings.push([name.replaceAll('-', '_'), value.join('=')]);
  }
  return settings;
}
