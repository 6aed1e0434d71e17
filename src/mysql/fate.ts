import type { ServerError } from '../pool/backend.js';
import type { Fate } from '../proxy/dialect.js';

/**
 * Errors after which the server has rolled the whole transaction back (MySQL manual, InnoDB Error Handling): a deadlock, a full
 * lock table, a branch of an XA transaction that was rolled back.
 */
const LOSES_THE_TRANSACTION = new Set([
  1206, // ER_LOCK_TABLE_FULL
  1213, // ER_LOCK_DEADLOCK
  1402, // ER_XA_RBROLLBACK
  1613, // ER_XA_RBTIMEOUT
  1614, // ER_XA_RBDEADLOCK
]);

/** Other errors undo their statement only. */
export function fateOf(error: ServerError): Fate {
  return error.errno !== undefined && LOSES_THE_TRANSACTION.has(error.errno)
    ? 'transaction-lost'
    : 'statement-undone';
}
