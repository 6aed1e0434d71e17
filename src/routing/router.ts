import type { Keyspace } from '../topology/keyspace.js';
import type { ShardName } from '../topology/ring.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { ParameterValues, PlannedStatement, Route } from './plan.js';

/** Routing said by hand for a session: SET ringferry.shard, SET ringferry.key. */
export interface RoutingHint {
  readonly shard?: string;
  readonly key?: string;
}

/** An INSERT with a parameter for each number, and where these stand among all its parameters, ascending. */
export interface NumberedText {
  readonly sql: string;
  readonly parameters: readonly number[];
}

/** The router's interface as the proxy uses it; built per database. (Contract; the implementation replaces this file's body.) */
export interface StatementRouter {
  /** Lookups that needed no planning, those that did, and plans kept. */
  readonly cacheHitsTotal: number;
  readonly cacheMissesTotal: number;
  readonly plansCached: number;
  keyspace: Keyspace;
  /** The statement for people, with its literals taken out. */
  template(sql: string): string;
  /** Statements of one simple Query, cut at top-level semicolons; empty ones left out. */
  split(sql: string): string[];
  /**
   * Plans by template; throws OperatingError for what cannot be parsed. `searchPath` only where the session changed it;
   * `hint` when the session has SET ringferry.shard or ringferry.key (a hint in the statement itself wins).
   */
  plan(sql: string, searchPath?: readonly string[], hint?: RoutingHint): PlannedStatement;
  /** Throws OperatingError when refused or when a key's value cannot be understood. */
  route(statement: PlannedStatement, parameters: ParameterValues | undefined, snapshot: Snapshot): Route;
  /** The text that `shard` must run for this route: the client's own where possible, else rewritten (partial aggregates, its rows, ownership filter). */
  sqlFor(statement: PlannedStatement, route: Route, shard: ShardName, snapshot: Snapshot): string;
  /** The same INSERT with `numbers`, one for each row, in the column of `plan.numbers`. */
  withNumbers(statement: PlannedStatement, numbers: readonly bigint[]): string;
  /** The same with parameters for the numbers, for a bulk execution. Throws OperatingError where that cannot be written. */
  withNumberParameters(statement: PlannedStatement): NumberedText;
  /**
   * Indexes of the client's parameters in the order of the placeholders in `sqlFor`'s text; undefined when they are as the client
   * gave them (always, where placeholders are numbered).
   */
  parametersFor(
    statement: PlannedStatement,
    route: Route,
    shard: ShardName,
    snapshot: Snapshot,
  ): readonly number[] | undefined;
}
