import { BACKEND } from './messages.js';

/**
 * What a server still has to answer to one write, in order. `Own` answers belong to messages that we put in ourselves:
 * nobody sees them. `Local` answers are given by us, in their place in the order, to what was never sent.
 */
export const EXPECT = {
  Parse: 1,
  Bind: 2,
  Close: 3,
  DescribeStatement: 4,
  DescribePortal: 5,
  Execute: 6,
  /** A simple Query or FunctionCall: anything up to ReadyForQuery. */
  Query: 7,
  /** The ReadyForQuery of a Sync. */
  Ready: 8,
  OwnParse: 9,
  OwnBind: 10,
  OwnClose: 11,
  OwnExecute: 12,
  OwnDescribe: 13,
  LocalParse: 14,
  LocalClose: 15,
} as const;

/** What a message means for the expectation at the head. */
export type Verdict =
  /** Pass it on and wait for more of the same. */
  | 'more'
  /** Pass it on; the expectation is met. */
  | 'last'
  /** The expectation is met, and nobody is to see it. */
  | 'own'
  /** Nobody is to see it, and more of the same may come. */
  | 'own-more'
  /** ParameterDescription came: RowDescription or NoData follows. */
  | 'described'
  /** The server must not say this now. */
  | 'wrong';

/** Judges every message but errors, ReadyForQuery, rows and what may come at any time. */
export function judge(expected: number | undefined, code: number): Verdict {
  switch (expected) {
    case EXPECT.Query:
      return QUERY_ANSWERS.has(code) ? 'more' : 'wrong';
    case EXPECT.Execute:
      return executed(code, 'last', 'more');
    case EXPECT.OwnExecute:
      return executed(code, 'own', 'own-more');
    case EXPECT.Parse:
      return code === BACKEND.ParseComplete ? 'last' : 'wrong';
    case EXPECT.OwnParse:
      return code === BACKEND.ParseComplete ? 'own' : 'wrong';
    case EXPECT.Bind:
      return code === BACKEND.BindComplete ? 'last' : 'wrong';
    case EXPECT.OwnBind:
      return code === BACKEND.BindComplete ? 'own' : 'wrong';
    case EXPECT.Close:
      return code === BACKEND.CloseComplete ? 'last' : 'wrong';
    case EXPECT.OwnClose:
      return code === BACKEND.CloseComplete ? 'own' : 'wrong';
    case EXPECT.OwnDescribe:
      if (code === BACKEND.ParameterDescription) return 'own-more';
      return code === BACKEND.RowDescription || code === BACKEND.NoData ? 'own' : 'wrong';
    case EXPECT.DescribeStatement:
      return code === BACKEND.ParameterDescription ? 'described' : 'wrong';
    case EXPECT.DescribePortal:
      return code === BACKEND.RowDescription || code === BACKEND.NoData ? 'last' : 'wrong';
    default:
      return 'wrong';
  }
}

const QUERY_ANSWERS: ReadonlySet<number> = new Set([
  BACKEND.RowDescription,
  BACKEND.CommandComplete,
  BACKEND.EmptyQueryResponse,
  BACKEND.CopyInResponse,
  BACKEND.CopyOutResponse,
  BACKEND.CopyDone,
  BACKEND.FunctionCallResponse,
]);

function executed(code: number, done: Verdict, more: Verdict): Verdict {
  switch (code) {
    case BACKEND.CommandComplete:
    case BACKEND.EmptyQueryResponse:
    case BACKEND.PortalSuspended:
      return done;
    case BACKEND.CopyInResponse:
    case BACKEND.CopyOutResponse:
    case BACKEND.CopyDone:
      return more;
    default:
      return 'wrong';
  }
}
