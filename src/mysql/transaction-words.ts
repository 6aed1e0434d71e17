import type { TransactionWords } from '../proxy/dialect.js';
import { quoteName, quoteText } from './engine-names.js';

/** The longest global part of an xid, and the longest branch part (MariaDB manual, XA Transactions). */
const XID_PART = 64;
const READ_ONLY = /\bread\s+only\b/i;

/**
 * Transactions on shards are XA transactions from their start, because only those can be prepared. On one shard they end
 * with `ONE PHASE`, which costs what COMMIT costs and stands in the log like any transaction. The gid is the xid's global
 * part, and what does not fit there its branch part.
 */
export const transactionWords: TransactionWords = {
  begin: 'START TRANSACTION',
  // XA START has no READ ONLY of its own; this is for the next transaction of the session.
  open: (sql, gid) =>
    READ_ONLY.test(sql) ? ['SET TRANSACTION READ ONLY', `XA START ${xid(gid)}`] : [`XA START ${xid(gid)}`],
  commit: (gid) => [`XA END ${xid(gid)}`, `XA COMMIT ${xid(gid)} ONE PHASE`],
  rollback: (gid) => [`XA END ${xid(gid)}`, `XA ROLLBACK ${xid(gid)}`],
  abandon: 'ROLLBACK',
  savepoint: (name) => `SAVEPOINT ${quoteName(name)}`,
  rollbackTo: (name) => `ROLLBACK TO SAVEPOINT ${quoteName(name)}`,
  release: (name) => `RELEASE SAVEPOINT ${quoteName(name)}`,
  prepare: (gid) => [`XA END ${xid(gid)}`, `XA PREPARE ${xid(gid)}`],
  commitPrepared: (gid) => `XA COMMIT ${xid(gid)}`,
  rollbackPrepared: (gid) => `XA ROLLBACK ${xid(gid)}`,
  listPrepared: 'XA RECOVER',
  // formatID, gtrid_length, bqual_length, data: both parts in one.
  preparedGid: (row) => row[3],
  tags: {
    begin: 'BEGIN',
    commit: 'COMMIT',
    rollback: 'ROLLBACK',
    savepoint: 'SAVEPOINT',
    release: 'RELEASE',
  },
};

function xid(gid: string): string {
  return gid.length <= XID_PART
    ? quoteText(gid)
    : `${quoteText(gid.slice(0, XID_PART))},${quoteText(gid.slice(XID_PART))}`;
}
