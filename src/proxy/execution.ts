import type { PreparedStatement, Request } from '../pool/request.js';
import type { ParameterValues, PlannedStatement, Route } from '../routing/plan.js';
import type { StatementRouter } from '../routing/router.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { Database } from './database.js';
import type { Frontend } from './frontend.js';
import type { SessionLanes } from './lanes.js';
import type { Portal } from './portals.js';
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
  readonly portal?: Portal;
  /** Sends what the server would have answered to the steps before Execute. */
  readonly answerLocally?: (() => Promise<void>) | undefined;
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
