import { Histogram } from '../metrics/histogram.js';

/** What one database has done since the start: plain fields, read when somebody asks. */
export class DatabaseCounters {
  /** Requests of clients: one Query, or the messages up to Sync. */
  statements = 0;
  transactions = 0;
  /** From the first request of a transaction to its end. */
  transactionMs = 0;
  /** Errors that the proxy made, and those that servers sent. */
  proxyErrors = 0;
  serverErrors = 0;
  /** Statements refused because they are not supported on sharded tables. */
  refused = 0;
  singleShard = 0;
  scatter = 0;
  twoPhase = 0;
  leases = 0;
  /** Reads that stood in line on a shared backend, and those of them that had to be run again elsewhere. */
  shared = 0;
  sharedAgain = 0;
  leaseWaitMs = 0;
  clientParses = 0;
  binds = 0;
  /** From and to clients who are gone. */
  receivedBytes = 0;
  sentBytes = 0;
  readonly statementMs = new Histogram();
  readonly holdMs = new Histogram();
}
