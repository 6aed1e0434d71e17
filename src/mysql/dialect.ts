import type { DatabaseConfig, LimitsConfig } from '../config/config.js';
import type { Dialect } from '../proxy/dialect.js';
import type { ClientIdentity } from '../proxy/frontend.js';
import { createMysqlPassThroughRouter, createMysqlRouter } from '../routing/mysql-router.js';
import { connectMysqlBackend } from './backend.js';
import { readKeyspace } from './catalog.js';
import { encodeQuery } from './commands.js';
import { fateOf } from './fate.js';
import { askedOfNumber, mayKeepNumber, tagAsAnswered } from './given-number.js';
import { hiddenWritesSql } from './hidden-writes.js';
import { firstNumberSql, highestNumberSql, leaseNumbers } from './numbers.js';
import { payloadOf } from './packets.js';
import { askedBehind, recall, remembered, tellState } from './session-state.js';
import { resetSettings, startupSetting, warnings, writesUtf8 } from './session-words.js';
import { mergedTag, sumTags, tagWithNumber } from './tag.js';
import { transactionWords } from './transaction-words.js';
import { mysqlValues } from './values.js';

/** Session flags that are said at the login and cannot be said later; see server-login.ts. */
const CONNECTION_FLAGS = ['found_rows', 'extended_metadata', 'out_parameters'];

const NOTHING = Buffer.alloc(0);
/** There is no word for "the rest of the file does not come": an end would make the server keep what it has. The connection is ended instead. */
const CUT_SHORT = NOTHING;

function connectionStartup(
  { startup }: ClientIdentity,
  { localInfile }: DatabaseConfig,
): Map<string, string> {
  const flags = localInfile ? [...CONNECTION_FLAGS, 'local_files'] : CONNECTION_FLAGS;
  return new Map(flags.filter((flag) => startup.get(flag) === '1').map((flag) => [flag, '1']));
}

/** The MySQL wing as the hall knows it. */
export const mysqlDialect: Dialect = {
  engine: 'mysql',
  connect: connectMysqlBackend,
  words: transactionWords,
  manners: {
    anyErrorFailsTransaction: false,
    severalStatementsAreOne: false,
    settingsRollBack: false,
    beginCommits: true,
    savepointsNeedTransaction: false,
  },
  fateOf,
  connectionStartup,
  warnings,
  hiddenWritesSql,
  remembered,
  recall,
  askedBehind,
  askedOfNumber,
  mayKeepNumber,
  tagAsAnswered,
  writesUtf8,
  tellState,
  resetSettings,
  startupDefaults: new Map(),
  startupSetting,
  startupOptions: () => [],
  queryStep: (sql) => ({ type: 'query', sql, frame: encodeQuery(sql) }),
  sumTags,
  mergedTag,
  copyPayload: (frame) => payloadOf(frame),
  copyFail: () => CUT_SHORT,
  mergeValues: () => mysqlValues,
  createRouter: (keyspace, limits: LimitsConfig) => createMysqlRouter(keyspace, limits),
  createPassThroughRouter: (database, limits: LimitsConfig) => createMysqlPassThroughRouter(database, limits),
  readKeyspace: (rows, database) => readKeyspace(rows, database.name, database.home, database.tables),
  leaseNumbers,
  highestNumberSql,
  firstNumberSql,
  tagWithNumber,
  withDatabase: (url, database) => {
    const changed = new URL(url);
    changed.pathname = `/${encodeURIComponent(database)}`;
    return changed.href;
  },
};
