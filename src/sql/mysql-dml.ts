import type { Alias, Node, RangeVar, SelectStmt } from '@pgsql/types';
import { readExpression } from './mysql-expressions.js';
import { readAlias, readPartitions, readTableName, readTables } from './mysql-from.js';
import { readCount } from './mysql-limit.js';
import type { Reader } from './mysql-reader.js';
import { readQuery, readRow, readTarget, readWith } from './mysql-select.js';
import { readOrderBy } from './mysql-sort.js';
import { beginsQuery, beginsRows } from './mysql-subquery.js';
import { type Fields, listNode, makeNode, present, rangeNode, selectNode, stringNode } from './mysql-tree.js';

/** INSERT or REPLACE. */
export function readInsert(reader: Reader): Node {
  const verb = reader.next().word;
  const { priority, ignore } = readModifiers(reader);
  reader.accept('INTO');
  const table = readTableName(reader);
  const partitions = readPartitions(reader);
  const relation = present<RangeVar>({ ...table, partitions });
  const source = readInserted(reader);
  const rowAlias = verb === 'INSERT' ? readRowAlias(reader) : undefined;
  const onConflictClause = readConflict(reader);
  const returningClause = readReturning(reader);
  return makeNode('InsertStmt', {
    relation,
    ...source,
    rowAlias,
    onConflictClause,
    returningClause,
    override: 'OVERRIDING_NOT_SET',
    verb,
    priority,
    ignore,
  });
}

function readModifiers(reader: Reader): { priority: string | undefined; ignore: boolean; quick: boolean } {
  let priority: string | undefined;
  let ignore = false;
  let quick = false;
  for (;;) {
    if (reader.is('LOW_PRIORITY', 'HIGH_PRIORITY', 'DELAYED')) priority = reader.next().word;
    else if (reader.accept('IGNORE')) ignore = true;
    else if (reader.is('QUICK') && !reader.isSymbol('.', 1)) {
      reader.next();
      quick = true;
    } else return { priority, ignore, quick };
  }
}

/** The columns and the rows: VALUES, SET or a query. */
function readInserted(reader: Reader): Fields {
  if (reader.accept('SET')) {
    const assignments = reader.list(() => readAssignment(reader));
    const cols = assignments.map(({ name, location }) => makeNode('ResTarget', { name, location }));
    const row = listNode(assignments.map(({ value }) => value));
    return { cols, selectStmt: selectNode(valuesOf([row])), isSet: true };
  }
  const cols = reader.isSymbol('(') && !beginsQuery(reader) ? readColumnList(reader) : undefined;
  if (!beginsRows(reader) && (reader.accept('VALUES') || reader.accept('VALUE')))
    return { cols, selectStmt: selectNode(valuesOf(reader.list(() => readRow(reader)))) };
  return { cols, selectStmt: selectNode(readQuery(reader)) };
}

/** `AS new` or `AS new (a, b)`: the row that was to be inserted, in ON DUPLICATE KEY UPDATE. Behind a query a server refuses it. */
function readRowAlias(reader: Reader): Alias | undefined {
  if (!reader.knowsMysql8 || !reader.accept('AS')) return undefined;
  const aliasname = reader.name();
  if (!reader.isSymbol('(')) return { aliasname };
  return { aliasname, colnames: reader.parenthesised(() => reader.list(() => stringNode(reader.name()))) };
}

function readColumnList(reader: Reader): Node[] {
  return reader.parenthesised(() =>
    reader.isSymbol(')') ? [] : reader.list(() => makeNode('ResTarget', readColumnName(reader))),
  );
}

function valuesOf(rows: Node[]): SelectStmt {
  return { valuesLists: rows, limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' };
}

/** A column to be set, perhaps with its table before it. */
function readColumnName(reader: Reader): { name: string; table: string | undefined; location: number } {
  const location = reader.byteOffset(reader.token.start);
  const names = [reader.name()];
  while (reader.acceptSymbol('.')) names.push(reader.anyName());
  return { name: names.at(-1)!, table: names.at(-2), location };
}

function readAssignment(reader: Reader): {
  name: string;
  table: string | undefined;
  location: number;
  value: Node;
} {
  const column = readColumnName(reader);
  if (!reader.acceptSymbol('=')) reader.expectSymbol(':=');
  return { ...column, value: readExpression(reader) };
}

function assignmentNode(reader: Reader): Node {
  const { name, table, location, value } = readAssignment(reader);
  return makeNode('ResTarget', { name, table, val: value, location });
}

function readConflict(reader: Reader): Fields | undefined {
  if (!reader.accept('ON', 'DUPLICATE', 'KEY', 'UPDATE')) return undefined;
  reader.isInConflict = true;
  const targetList = reader.list(() => assignmentNode(reader));
  reader.isInConflict = false;
  return { action: 'ONCONFLICT_UPDATE', targetList };
}

function readReturning(reader: Reader): Fields | undefined {
  return reader.accept('RETURNING') ? { exprs: reader.list(() => readTarget(reader)) } : undefined;
}

/** UPDATE of one table, or of several. */
export function readUpdate(reader: Reader): Node {
  const withClause = readWith(reader);
  reader.expect('UPDATE');
  const { priority, ignore } = readModifiers(reader);
  const fromClause = readTables(reader) ?? [];
  reader.expect('SET');
  const targetList = reader.list(() => assignmentNode(reader));
  const whereClause = reader.accept('WHERE') ? readExpression(reader) : undefined;
  const fields = {
    targetList,
    whereClause,
    sortClause: readOrderBy(reader),
    limitCount: reader.accept('LIMIT') ? readCount(reader) : undefined,
    priority,
    ignore,
    withClause,
  };
  const [only, ...others] = fromClause;
  if (only !== undefined && others.length === 0 && 'RangeVar' in only)
    return makeNode('UpdateStmt', { relation: only.RangeVar, ...fields });
  return makeNode('MultiUpdateStmt', { fromClause, ...fields });
}

/** DELETE from one table, or from several. */
export function readDelete(reader: Reader): Node {
  const withClause = readWith(reader);
  reader.expect('DELETE');
  const { priority, ignore, quick } = readModifiers(reader);
  const options = { priority, ignore, quick, withClause };
  if (!reader.is('FROM')) {
    const targets = readDeleteTargets(reader);
    reader.expect('FROM');
    return readMultiDelete(reader, targets, options, false);
  }
  reader.expect('FROM');
  const first = readDeleteTargets(reader);
  if (reader.accept('USING')) return readMultiDelete(reader, first, options, true);
  const [target, ...others] = first;
  if (others.length > 0 || target === undefined || !('RangeVar' in target)) throw reader.unexpected();
  const partitions = readPartitions(reader);
  const alias = readAlias(reader);
  if (reader.is('FOR')) throw reader.unexpected();
  return makeNode('DeleteStmt', {
    relation: present<RangeVar>({ ...target.RangeVar, partitions, alias }),
    whereClause: reader.accept('WHERE') ? readExpression(reader) : undefined,
    sortClause: readOrderBy(reader),
    limitCount: reader.accept('LIMIT') ? readCount(reader) : undefined,
    returningClause: readReturning(reader),
    ...options,
  });
}

/** `t`, `db.t`, `t.*` with commas between them. */
function readDeleteTargets(reader: Reader): Node[] {
  return reader.list(() => {
    const range = readTableName(reader);
    if (reader.acceptSymbol('.')) reader.expectSymbol('*');
    return rangeNode(range);
  });
}

function readMultiDelete(reader: Reader, targets: Node[], options: Fields, isUsing: boolean): Node {
  const fromClause = readTables(reader) ?? [];
  const whereClause = reader.accept('WHERE') ? readExpression(reader) : undefined;
  return makeNode('MultiDeleteStmt', { targets, fromClause, whereClause, isUsing, ...options });
}
