import type { ParameterValues } from '../routing/plan.js';
import type { StatementFacts } from './statement-ids.js';

/** A prepared statement as the client made it; lives in the session, is made on backends when needed. */
export interface PreparedStatement {
  /** The client's name, '' for the unnamed one. */
  readonly name: string;
  readonly sql: string;
  /** The text's own bytes where they are not UTF-8 (another client_encoding); `sql` then has replacement characters. */
  readonly bytes?: Buffer | undefined;
  readonly parameterTypes: readonly number[];
  /** Equal for equal (sql, parameterTypes) in the whole process: what backends know it by. */
  readonly id: number;
  /** Shared by all who prepared the same, where the wing makes use of it. */
  readonly facts?: StatementFacts | undefined;
}

/**
 * One act that a client asks for, in the order it came. `frame` is the client's own message, whole (header too), so
 * that it can be passed on as it is.
 */
export type Step =
  | { readonly type: 'query'; readonly sql: string; readonly frame: Buffer }
  | { readonly type: 'parse'; readonly prepared: PreparedStatement; readonly frame: Buffer }
  | {
      readonly type: 'bind';
      readonly portal: string;
      /** undefined until the session has looked the name up. */
      prepared: PreparedStatement | undefined;
      readonly statementName: string;
      readonly parameters: ParameterValues;
      /** 0 or 1 per column; one entry means all, none means text. */
      readonly resultFormats: readonly number[];
      readonly frame: Buffer;
    }
  | {
      readonly type: 'describe-statement';
      prepared: PreparedStatement | undefined;
      readonly statementName: string;
      readonly frame: Buffer;
    }
  | { readonly type: 'describe-portal'; readonly portal: string; readonly frame: Buffer }
  | { readonly type: 'execute'; readonly portal: string; readonly maxRows: number; readonly frame: Buffer }
  | { readonly type: 'close-statement'; readonly statementName: string; readonly frame: Buffer }
  | { readonly type: 'close-portal'; readonly portal: string; readonly frame: Buffer }
  | { readonly type: 'function-call'; readonly frame: Buffer }
  /** Everything that the client left in its session is forgotten (MySQL: COM_RESET_CONNECTION). */
  | { readonly type: 'reset-session'; readonly frame: Buffer };

/** The frames up to Sync (or Flush), or one Query. */
export interface Request {
  readonly steps: readonly Step[];
  /** `query`: one simple Query, which ends itself. `own`: no steps; the frontend's own answer, told when its turn comes. */
  readonly end: 'query' | 'sync' | 'flush' | 'own';
  /** With `own` only. */
  readonly own?: Buffer | undefined;
  readonly byteLength: number;
}
