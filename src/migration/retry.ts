import { type ErrorCode, OperatingError } from '../lib/errors.js';
import { TimedOut } from './interrupt.js';

const TRANSIENT_CODES: ReadonlySet<ErrorCode> = new Set([
  'shard-unavailable',
  'shard-connect-failed',
  'pool-timeout',
  'too-many-clients',
  'not-ready',
  'gate-timeout',
  'range-moved',
  'shutting-down',
]);

/** Node's own codes of connections that failed (manual: "Common system errors"). */
const TRANSIENT_SYSTEM_CODES: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/**
 * SQLSTATE classes that pass by themselves: connection, resources (a full disk too), operator intervention,
 * serialization; and single ones: lock not available, object in use (a slot whose old walsender still lives).
 */
const TRANSIENT_SQLSTATES = /^(08|53|57P|40|55P03|55006|58030)/;

/** Messages of `pg` for connections that went away, which carry no code. */
const LOST_CONNECTION =
  /connection (terminated|ended|closed|lost)|server closed the connection|not queryable|client was closed/i;

/** Whether trying the same again later can help. */
export function isTransient(error: Error): boolean {
  if (error instanceof TimedOut) return true;
  if (error instanceof OperatingError) return TRANSIENT_CODES.has(error.code);
  const { code } = error as { code?: unknown };
  if (typeof code === 'string') return TRANSIENT_SYSTEM_CODES.has(code) || TRANSIENT_SQLSTATES.test(code);
  return LOST_CONNECTION.test(error.message);
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/** How long to wait before try number `attempt` (1, 2, …): doubling, bounded. */
export function backoffMs(attempt: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 20));
}
