import type { Pool } from '../pool/pool.js';
import type { Request } from '../pool/request.js';
import type { ParameterValues, Plan, PlannedStatement, Route } from '../routing/plan.js';
import type { StatementRouter } from '../routing/router.js';
import type { SessionContext } from './execution.js';
import type { PreparedStatements } from './prepared.js';
import type { SharedRead } from './shared-read.js';
import { wholeExecution } from './steps.js';

/**
 * Decides for one session which of its requests may stand in line with those of other sessions on a shared backend: one whole
 * autocommit request, one read that leaves no trace, on one shard, in the client's own words, and quick by what its template has taken.
 */
export class Sharing {
  readonly #read: SharedRead;
  readonly #context: SessionContext;
  readonly #statements: PreparedStatements;
  readonly #isOn: boolean;
  /** The plan of a statement that may not stand in line, for who runs it right after. */
  #notShared: PlannedStatement | undefined;

  constructor(
    context: SessionContext,
    statements: PreparedStatements,
    onShared: (mustRun: boolean, nowMs: number) => void,
  ) {
    const { database, frontend, lanes, memory } = context;
    this.#context = context;
    this.#statements = statements;
    this.#read = lanes.shared;
    this.#read.onDone = onShared;
    this.#read.onRefused = () => statements.doubt('');
    if (memory.isAsked) this.#read.memory = memory;
    const { mode, pipeline } = database.config.pool;
    this.#isOn = mode === 'transaction' && pipeline > 1 && database.dialect.writesUtf8(frontend.identity);
  }

  /** The plan of the statement that `begin` has just refused, so that it is not looked up twice. */
  takePlanned(sql: string): PlannedStatement | undefined {
    const planned = this.#notShared;
    this.#notShared = undefined;
    return planned?.sql === sql ? planned : undefined;
  }

  /** To be called between two statements of the session. False: nothing was done, and the request goes its own way. */
  begin(request: Request, nowMs: number): boolean {
    const router = this.#context.database.loadedRouter;
    if (!this.#isOn || router === undefined || this.#context.lanes.pinReason !== undefined) return false;
    return request.end === 'query'
      ? this.#query(router, request, nowMs)
      : this.#execution(router, request, nowMs);
  }

  #query(router: StatementRouter, request: Request, nowMs: number): boolean {
    const step = request.steps[0];
    if (step?.type !== 'query' || !isReadable(step.sql, step.frame)) return false;
    const texts = router.split(step.sql);
    return texts.length === 1 && this.#statement(router, texts[0]!, undefined, request, nowMs);
  }

  #execution(router: StatementRouter, request: Request, nowMs: number): boolean {
    const bind = wholeExecution(request);
    if (bind === undefined) return false;
    const [first] = request.steps;
    const parsed = first?.type === 'parse' ? first.prepared : undefined;
    const prepared = parsed ?? this.#statements.find(bind.statementName);
    if (prepared === undefined || !isReadable(prepared.sql, prepared.bytes)) return false;
    if (bind.parameters.sets !== undefined) return false;
    bind.prepared = prepared;
    if (!this.#statement(router, prepared.sql, bind.parameters, request, nowMs)) return false;
    if (parsed !== undefined) this.#statements.add(parsed);
    return true;
  }

  /** Routes and enters the gate in one turn, like every statement; what would have to wait there goes its own way. */
  #statement(
    router: StatementRouter,
    sql: string,
    parameters: ParameterValues | undefined,
    request: Request,
    nowMs: number,
  ): boolean {
    const { database, lanes, settings } = this.#context;
    const planned = this.#planned(router, sql);
    this.#notShared = planned;
    const pace = planned?.plan.pace;
    const route = pace === undefined ? undefined : this.#routed(router, planned!, parameters);
    if (route === undefined) return false;
    const pool = lanes.poolOf(route.shards[0]!);
    if (!pace!.isQuick(pool.floorMs) || !pace!.isHarmless(nowMs, database.hiddenWrites.era)) return false;
    const { gate } = database.topology;
    if (!gate.tryEnter(this.#read.ticket, route.touch)) return false;
    if (this.#read.begin(planned!, request, pool, settings.text, nowMs)) {
      this.#notShared = undefined;
      database.counters.singleShard++;
      return true;
    }
    gate.leave(this.#read.ticket);
    return false;
  }

  /** undefined: its own way finds the same error, and tells it. */
  #planned(router: StatementRouter, sql: string): PlannedStatement | undefined {
    const { searchPath, hint } = this.#context.settings;
    try {
      return router.plan(sql, searchPath, hint);
    } catch {
      return undefined;
    }
  }

  /** undefined: not on one shard, or not in the client's own words, or refused. */
  #routed(
    router: StatementRouter,
    planned: PlannedStatement,
    parameters: ParameterValues | undefined,
  ): Route | undefined {
    const snapshot = this.#context.database.topology.current;
    try {
      const route = router.route(planned, parameters, snapshot);
      if (route.shards.length !== 1) return undefined;
      return router.sqlFor(planned, route, route.shards[0]!, snapshot) === planned.sql ? route : undefined;
    } catch {
      return undefined;
    }
  }
}

/** What is not UTF-8 is decoded with replacement characters, and would be routed by what it seems to be. */
function isReadable(sql: string, bytes: Buffer | undefined): boolean {
  return !sql.includes('\ufffd') || bytes?.includes(sql) === true;
}

/** How long a statement took on a backend of its own, which says whether the next one like it may stand in line. */
export function noteAlone(pool: Pool, { pace }: Plan, ms: number): void {
  if (pace === undefined) return;
  pool.noteAlone(ms);
  pace.noteAlone(ms);
}
