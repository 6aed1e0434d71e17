/**
 * Operating errors: what can go wrong in operation, each with a stable code. The code becomes SQLSTATE (Postgres) or
 * errno (MySQL) at the edge. Programmer errors are assertions instead.
 */

/** One row a kind of error: stable code → SQLSTATE and MySQL errno. */
export const ERROR_TABLE = {
  unsupported: { sqlstate: '0A000', errno: 1235 },
  'unsupported-syntax': { sqlstate: '42601', errno: 1064 },
  'protocol-violation': { sqlstate: '08P01', errno: 1047 },
  'limit-exceeded': { sqlstate: '54000', errno: 1153 },
  'too-many-clients': { sqlstate: '53300', errno: 1040 },
  'pool-timeout': { sqlstate: '53300', errno: 1040 },
  'shard-unavailable': { sqlstate: '08006', errno: 2013 },
  'shard-connect-failed': { sqlstate: '08001', errno: 2003 },
  'outcome-unknown': { sqlstate: '08007', errno: 2013 },
  'authentication-failed': { sqlstate: '28P01', errno: 1045 },
  'authorization-failed': { sqlstate: '28000', errno: 1045 },
  'unknown-database': { sqlstate: '3D000', errno: 1049 },
  'unknown-prepared-statement': { sqlstate: '26000', errno: 1243 },
  'unknown-portal': { sqlstate: '34000', errno: 1243 },
  'transaction-failed': { sqlstate: '25P02', errno: 1399 },
  'unknown-session': { sqlstate: '22023', errno: 1094 },
  'no-transaction': { sqlstate: '25P01', errno: 1399 },
  'range-moved': { sqlstate: '40001', errno: 1213 },
  'gate-timeout': { sqlstate: '55P03', errno: 1205 },
  'shutting-down': { sqlstate: '57P01', errno: 1053 },
  'not-ready': { sqlstate: '57P03', errno: 1053 },
  cancelled: { sqlstate: '57014', errno: 1317 },
  'invalid-parameter': { sqlstate: '22023', errno: 1210 },
  'invalid-key': { sqlstate: '22023', errno: 1210 },
  configuration: { sqlstate: 'F0000', errno: 1105 },
  migration: { sqlstate: '55000', errno: 1105 },
  internal: { sqlstate: 'XX000', errno: 1105 },
} as const;

export type ErrorCode = keyof typeof ERROR_TABLE;

export interface ErrorFacts {
  readonly detail?: string;
  readonly hint?: string;
  readonly cause?: unknown;
  /** Overrides the table's SQLSTATE where the server's own would be another. */
  readonly sqlstate?: string;
}

export class OperatingError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly #sqlstate: string | undefined;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'OperatingError';
    this.code = code;
    this.detail = facts.detail;
    this.hint = facts.hint;
    this.#sqlstate = facts.sqlstate;
  }

  /** Five characters, PostgreSQL manual appendix A. */
  get sqlstate(): string {
    return this.#sqlstate ?? ERROR_TABLE[this.code].sqlstate;
  }

  get errno(): number {
    return ERROR_TABLE[this.code].errno;
  }
}

/** The refusal of what Ringferry does not support on sharded tables; `hint` says what to write instead. */
export function unsupported(message: string, hint?: string): OperatingError {
  return new OperatingError('unsupported', message, hint === undefined ? {} : { hint });
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Any thrown thing as an operating error; what is not one already becomes `internal`. */
export function asOperatingError(thrown: unknown): OperatingError {
  if (thrown instanceof OperatingError) return thrown;
  const error = asError(thrown);
  return new OperatingError('internal', error.message, { cause: error });
}
