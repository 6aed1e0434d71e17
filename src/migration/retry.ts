import { type ErrorCode, OperatingError } from '../lib/errors.js';
import type { MigrationEngine } from './engine.js';
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

/** Whether trying the same again later can help. */
export function isTransient(error: Error, engine: Pick<MigrationEngine, 'isPassing'>): boolean {
  if (error instanceof TimedOut) return true;
  if (error instanceof OperatingError) return TRANSIENT_CODES.has(error.code);
  const { code } = error as { code?: unknown };
  return (typeof code === 'string' && TRANSIENT_SYSTEM_CODES.has(code)) || engine.isPassing(error);
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/** How long to wait before try number `attempt` (1, 2, …): doubling, bounded. */
export function backoffMs(attempt: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 20));
}
