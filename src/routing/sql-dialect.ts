import type { FuncCall, Node, SelectStmt } from '@pgsql/types';
import type { SqlParser } from '../sql/postgres-parser.js';
import type { Template } from '../sql/postgres-template.js';
import type { Column, Keyspace, KeyType, Table } from '../topology/keyspace.js';
import type { Range } from '../topology/ring.js';
import type { Analysis } from './analysis.js';
import type { Draft } from './draft.js';
import type { KeyReader } from './key-value.js';
import type { Plan, SessionState } from './plan.js';
import type { NumberedText } from './router.js';
import type { Statement } from './statement.js';

/** What the functions that a statement calls ask of its placement. */
export interface FunctionFacts {
  /** The first function that only means something on the home shard (sequences, locks, notifications). */
  readonly home: string | undefined;
  /** Something of it stays in the backend: the reason to stay with that. */
  readonly pin: string | undefined;
  readonly writes: boolean;
  /** The first function whose result differs from call to call or from server to server. */
  readonly volatile: string | undefined;
}

/** A tree as text, with the places where its parameters stand in it, in order. */
export interface WrittenText {
  readonly sql: string;
  readonly parameters: readonly { readonly start: number; readonly end: number; readonly number: number }[];
}

/** An INSERT with some of its rows; `parameters`: indexes of the client's parameters that it takes in order, where they are not all. */
export interface RowsText {
  readonly sql: string;
  readonly parameters?: readonly number[];
}

/** What to write instead, in the words of the engine. */
export interface SqlAdvice {
  /** How text is ordered by bytes. */
  readonly byteOrder: string;
  /** How a value for a column that each shard would number on its own is had. */
  readonly ownNumber: (column: string) => string;
}

/**
 * How one engine's SQL is read, planned and written: all that routing knows of it. Statements of every engine are
 * trees of the same nodes (those of libpg-query), so that there is one planner.
 */
export interface SqlDialect {
  readonly parser: SqlParser;
  readonly keys: KeyReader;
  readonly advice: SqlAdvice;

  templateOf(sql: string): Template;
  /** The statement for people, with its literals taken out. */
  shownTemplate(sql: string): string;
  split(sql: string): string[];
  /** The text of a tree; undefined when it cannot be said for certain that the text means the tree. */
  write(statement: Node): WrittenText | undefined;
  /** Placeholders have no numbers: they take parameters in their order. */
  readonly ordersParameters: boolean;
  /** `$n` or `?`: how a parameter with this number (from 1) stands in a rewritten text. */
  placeholder(number: number): string;
  quoteName(name: string): string;
  /** A condition that is true for rows whose token is in none of the ranges. */
  ownedExclusion(keyType: KeyType, quotedColumn: string, foreign: readonly Range[]): string;
  /** The same INSERT … VALUES with only some of its `expected` rows; undefined when they cannot be told apart. */
  insertOfRows(sql: string, rows: readonly number[], expected: number): RowsText | undefined;
  /** The same INSERT with a number in `plan.numbers`' column for each row that leaves it to the database. */
  withNumbers(
    sql: string,
    place: NonNullable<Plan['numbers']>,
    numbers: readonly bigint[],
  ): string | undefined;
  /** The same with a parameter of its own in each of these places; undefined where the engine has no bulk execution, or it cannot be written. */
  withNumberParameters?(sql: string, place: NonNullable<Plan['numbers']>): NumberedText | undefined;
  /** First words of a statement, as in its command tag. */
  verbOf(node: Node, sql: string): string;

  /** Column names (not aliases of tables) that mean the same are equal when folded. */
  fold(name: string): string;
  isSystemColumn(name: string): boolean;
  /** The name that an output column gets, as far as other clauses can use it. */
  targetName(target: Node | undefined): string;
  /** The same SELECT, whose columns keep their names when its text is written anew. */
  withNames(select: SelectStmt, statement: Statement): SelectStmt;
  /** ORDER BY `a + 1` may mean an output column by `a`. */
  readonly seesOutputNamesInExpressions: boolean;
  /** SELECT DISTINCT may be ordered by what is not selected. */
  readonly ordersDistinctByAnything: boolean;
  /** Nothing but columns of named tables may stand before a bare `*`. */
  readonly wantsStarFirst: boolean;
  /** LIMIT takes any expression, not only a number or a parameter. */
  readonly computesLimits: boolean;

  /** undefined: values of the column say nothing of where rows are. */
  keyTypeOf(column: Column): KeyType | undefined;
  /** Does a cast to the type leave a key as it is? */
  keepsKey(keyType: KeyType, castName: string): boolean;
  /** A literal of bits or bytes (`x'00'`) can be a key of this type. */
  takesBits(keyType: KeyType): boolean;

  /** The type of a sum says all of the type of the average. */
  readonly typesAverages: boolean;
  isAggregate(call: FuncCall, keyspace: Keyspace): boolean;
  /** Throws on functions whose answer could be wrong on one shard. */
  functionFacts(tree: unknown, keyspace: Keyspace): FunctionFacts;
  /** Is nothing different after the query has run once more, or not at all? When in doubt, no. */
  leavesNoTrace(select: SelectStmt, keyspace: Keyspace): boolean;
  /** Calls functions about the server itself: with no table in the statement they are asked of the home shard. */
  asksTheServer(tree: unknown): boolean;
  /** NULL and 0 in a column that the database fills mean the same as leaving it out. */
  readonly numbersNullAndZero: boolean;

  /** Without NULLS FIRST or LAST. */
  nullsFirst(descending: boolean): boolean;
  /** Values of the column are text, whose order and equality depend on a collation. */
  isText(column: Column): boolean;
  /** Does an aggregate show values of the column in another form than the column itself does? */
  isShownOtherwise(column: Column): boolean;
  isByteCollation(name: string): boolean;
  /** Is the expression made to be ordered by its bytes, without naming a collation? */
  isByteOrdered(expression: Node): boolean;
  /** May values of the expression be taken as equal by the database, though their bytes differ? `columns`: those that it reads. */
  isLoose(expression: Node, columns: readonly (Column | undefined)[]): boolean;

  /**
   * Can texts that the expression gives be told in what order and which are equal by `weightsOf`, on any server? `tables`: all that the
   * statement reads.
   */
  isWeighed(expression: Node, columns: readonly (Column | undefined)[], tables: Iterable<Table>): boolean;
  /** What a shard computes beside a text for its comparison (`TextWeight`). */
  weightsOf(text: Node): { readonly weight: Node; readonly blank: Node };

  /** Plans SELECT … INTO. */
  planInto(select: SelectStmt, analysis: Analysis): Draft;
  /** What a statement asks of what its session did before. */
  sessionState(tree: unknown): SessionState | undefined;
  /** Plans everything but SELECT, INSERT, UPDATE, DELETE and MERGE. */
  planUtility(node: Node, statement: Statement): Draft;
  /** The plan of a statement to a database with one shard; refuses nothing. */
  passThroughPlan(sql: string, template: string, keyspace: Keyspace): Plan;
}
