import { unsupported } from '../lib/errors.js';
import type { PreparedStatement, Request } from '../pool/request.js';
import type { ParameterValues, PlannedStatement, Route } from '../routing/plan.js';
import type { StatementRouter } from '../routing/router.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { Database } from './database.js';
import type { Frontend } from './frontend.js';
import type { SessionLanes } from './lanes.js';
import type { Portal } from './portals.js';
import type { SessionMemory } from './session-memory.js';
import type { SessionSettings } from './settings.js';

/** One execution of one statement, simple or bound. */
export interface Execution {
  readonly planned: PlannedStatement;
  readonly mode: 'query' | 'portal';
  /** What can go to one shard as it is; undefined when the steps were answered here already. */
  readonly request: Request | undefined;
  readonly prepared: PreparedStatement | undefined;
  readonly parameters: ParameterValues | undefined;
  readonly resultFormats: readonly number[];
  /** 0: all. */
  readonly maxRows: number;
  readonly numbered?: NumberedRows;
  readonly portal?: Portal;
  /** Sends what the server would have answered to the steps before Execute. */
  readonly answerLocally?: (() => Promise<void>) | undefined;
}

/** What the rows of an INSERT got from us. */
export interface NumberedRows {
  /** As `schema.name`. */
  readonly table: string;
  readonly column: string;
  /** In the order of the rows, ascending. */
  readonly numbers: readonly bigint[];
}

/** Where an execution goes, decided inside the gate. */
export interface Way {
  readonly route: Route;
  readonly snapshot: Snapshot;
  readonly router: StatementRouter;
}

/** What every statement of one session works with. */
export interface SessionContext {
  readonly database: Database;
  readonly frontend: Frontend;
  readonly lanes: SessionLanes;
  readonly settings: SessionSettings;
  readonly memory: SessionMemory;
}

/** The client has got the error already, as the server's own bytes. */
export class AlreadyAnswered extends Error {
  constructor() {
    super('the server answered with an error');
    this.name = 'AlreadyAnswered';
  }
}

export function isWrite(planned: PlannedStatement): boolean {
  const { access, placement } = planned.plan;
  return (
    access === 'write' || access === 'ddl' || placement.type === 'shard' || placement.type === 'key-by-hand'
  );
}

/** DDL would change tables under the copy, TRUNCATE rows past the log. */
export function refuseDuringMoves({ planned: { plan } }: Execution, { snapshot }: Way): void {
  if (snapshot.moves.length === 0 || plan.placement.type !== 'every') return;
  if (plan.access !== 'ddl' && plan.verb !== 'TRUNCATE') return;
  throw unsupported(
    `${plan.verb} on sharded or reference tables waits while migration ${snapshot.moves[0]!.migration} moves their rows`,
    'Run it after the migration is finished (ringferry migrate finish) or aborted.',
  );
}
