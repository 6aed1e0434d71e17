import type { Node, RangeVar, SelectStmt } from '@pgsql/types';

/**
 * MySQL's statements as trees of libpg-query's nodes. What Postgres has no word for stands in fields and nodes of our own:
 *
 * - `ResTarget.written`: the name that the server gives to an output column without an alias (the text of its expression).
 * - `SelectStmt.options` (SQL_CALC_FOUND_ROWS …), `.intoClause` with `target` (OUTFILE, DUMPFILE, @variables).
 * - `RangeVar.partitions`, `.indexHints` (text), `JoinExpr.straight`.
 * - `SelectStmt.isRows`: VALUES ROW(…), ROW(…).
 * - `InsertStmt.verb` (INSERT, REPLACE), `.ignore`, `.priority`, `.rowAlias` (VALUES (…) AS new (a, b)); ON DUPLICATE KEY UPDATE is an `onConflictClause` with
 *   `action: ONCONFLICT_UPDATE`, in which VALUES(c) is the ColumnRef `excluded.c` with `isValues`.
 * - `UpdateStmt` and `DeleteStmt` with `ignore`, `priority`, `sortClause`, `limitCount`; those on several tables are
 *   `MultiUpdateStmt` and `MultiDeleteStmt`.
 * - `A_Expr.unit` (INTERVAL), `.escape` (LIKE); `FuncCall.separator`, `.limit`, `.unit`, `.using`, `.form`.
 * - Nodes: `UserVariable`, `SystemVariable`, `VariableAssignment`, `MatchAgainst`, and statements (`MysqlStatement`).
 *
 * Operators have MySQL's own names: `<=>`, `DIV`, `%`, `XOR`, `REGEXP`, `LIKE`, `BINARY`; AND, OR and NOT are BoolExpr.
 */
export type Fields = Readonly<Record<string, unknown>>;

/** A node of any kind; fields that are undefined are left out. */
export function makeNode(kind: string, fields: Fields): Node {
  return { [kind]: present(fields) } as unknown as Node;
}

/** Without the fields that are undefined, false or empty lists: zero values are left out, as libpg-query does. */
export function present<T>(fields: Fields): T {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) continue;
    kept[name] = value;
  }
  return kept as T;
}

export function stringNode(text: string): Node {
  return { String: { sval: text } };
}

export function columnNode(names: readonly string[], location: number, fields: Fields = {}): Node {
  return makeNode('ColumnRef', {
    fields: names.map((name) => (name === '*' ? { A_Star: {} } : stringNode(name))),
    location,
    ...fields,
  });
}

export function operatorNode(
  name: string,
  left: Node | undefined,
  right: Node,
  fields: Fields = {},
  kind = 'AEXPR_OP',
): Node {
  return makeNode('A_Expr', { kind, name: [stringNode(name)], lexpr: left, rexpr: right, ...fields });
}

export function boolNode(operator: 'AND_EXPR' | 'OR_EXPR' | 'NOT_EXPR', args: readonly Node[]): Node {
  return makeNode('BoolExpr', { boolop: operator, args });
}

export function listNode(items: readonly Node[]): Node {
  return { List: { items: [...items] } };
}

export function selectNode(select: SelectStmt): Node {
  return { SelectStmt: select };
}

export function callNode(name: readonly string[], args: readonly Node[], fields: Fields = {}): Node {
  return makeNode('FuncCall', { funcname: name.map(stringNode), args, ...fields });
}

export function rangeNode(range: RangeVar): Node {
  return { RangeVar: range };
}

/** `SET …`: one assignment. `scope`: `user` for @variables, `special` for NAMES, TRANSACTION and the like. */
export interface SetAssignment {
  readonly scope: 'session' | 'global' | 'user' | 'special';
  /** As written; `names`, `character set`, `transaction`, `password`, `role`, `default role` for the special ones. */
  readonly name: string;
  /** Undefined for DEFAULT and where the value is no expression. */
  readonly value: Node | undefined;
  /** What stands behind the name, as text. */
  readonly text: string;
  /** SET @@x = …: for the next transaction only where x is a property of it; SET LOCAL and SESSION are not. */
  readonly isBare: boolean;
}

/** What LOAD DATA says of its file. Separators are as the server has them, '' for none. */
export interface LoadOptions {
  /** LOW_PRIORITY or CONCURRENT. */
  readonly priority: string | undefined;
  readonly file: string;
  /** REPLACE or IGNORE. */
  readonly duplicates: string | undefined;
  readonly hasPartitions: boolean;
  readonly charset: string | undefined;
  readonly terminatedBy: string;
  readonly enclosedBy: string;
  readonly escapedBy: string;
  readonly startingBy: string;
  readonly lineEnd: string;
  /** IGNORE n LINES. */
  readonly skippedLines: number;
  /** Undefined for a field that is read into a variable; undefined: the table's own columns. */
  readonly columns: readonly (string | undefined)[] | undefined;
  readonly hasSet: boolean;
}

/** A statement's own fields, for kinds that libpg-query does not have. */
export interface MysqlStatements {
  SetStmt: { readonly assignments: readonly SetAssignment[] };
  UseStmt: { readonly name: string };
  /** `what`: the words behind SHOW (`tables`, `full columns`); DESCRIBE is `columns`. */
  ShowStmt: { readonly what: string; readonly relation?: RangeVar };
  KillStmt: { readonly type: 'query' | 'connection'; readonly id: Node | undefined };
  LockTablesStmt: { readonly relations: readonly Node[] };
  UnlockTablesStmt: Record<string, never>;
  DoExprStmt: { readonly args: readonly Node[] };
  HandlerStmt: { readonly action: string; readonly relation: RangeVar };
  /** `options`: of LOAD DATA; LOAD XML has none. */
  LoadDataStmt: { readonly relation: RangeVar; readonly isLocal: boolean; readonly options?: LoadOptions };
  XaStmt: { readonly action: string };
  /** ANALYZE, CHECK, CHECKSUM, OPTIMIZE, REPAIR TABLE, CACHE INDEX. */
  TableMaintenanceStmt: { readonly action: string; readonly relations: readonly Node[] };
  MultiUpdateStmt: { readonly fromClause: readonly Node[]; readonly targetList: readonly Node[] };
  MultiDeleteStmt: { readonly targets: readonly Node[]; readonly fromClause: readonly Node[] };
  /** About the server as a whole: FLUSH, RESET, PURGE, CHANGE MASTER, INSTALL, SHUTDOWN … */
  ServerStmt: { readonly action: string };
  /** SIGNAL, GET DIAGNOSTICS, BEGIN NOT ATOMIC and other statements of routines. */
  CompoundStmt: { readonly action: string };
}

export type MysqlStatementKind = keyof MysqlStatements;

/** The fields of a statement of this kind; undefined when it is another. */
export function statementOf<K extends MysqlStatementKind>(
  node: Node,
  kind: K,
): MysqlStatements[K] | undefined {
  return (node as unknown as Partial<MysqlStatements>)[kind];
}

export function mysqlStatement<K extends MysqlStatementKind>(kind: K, fields: MysqlStatements[K]): Node {
  return makeNode(kind, fields as Fields);
}
