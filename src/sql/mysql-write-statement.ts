import type { Alias, DeleteStmt, InsertStmt, Node, ReturningClause, UpdateStmt } from '@pgsql/types';
import { writeExpression, writeOrderBy } from './mysql-write-expression.js';
import { writeRange, writeTarget, writeWith } from './mysql-write-select.js';
import { Unwritable, type Writer } from './mysql-writer.js';
import { namesOf } from './postgres-tree.js';

interface Modifiers {
  readonly priority?: string;
  readonly quick?: boolean;
  readonly ignore?: boolean;
  readonly sortClause?: Node[];
  readonly limitCount?: Node;
}

/** Writes a SELECT, INSERT, REPLACE, UPDATE or DELETE; false for other statements, which only go as the client wrote them. */
export function writeStatement(writer: Writer, node: Node): boolean {
  if ('SelectStmt' in node) writer.query(writer, node.SelectStmt);
  else if ('InsertStmt' in node) writeInsert(writer, node.InsertStmt);
  else if ('UpdateStmt' in node) writeUpdate(writer, node.UpdateStmt);
  else if ('DeleteStmt' in node) writeDelete(writer, node.DeleteStmt);
  else return false;
  return true;
}

function writeModifiers(writer: Writer, { priority, quick, ignore }: Modifiers): void {
  if (priority !== undefined) writer.put(priority);
  if (quick) writer.put('QUICK');
  if (ignore) writer.put('IGNORE');
}

function writeInsert(
  writer: Writer,
  statement: InsertStmt & Modifiers & { verb?: string; rowAlias?: Alias },
): void {
  const { relation, selectStmt, rowAlias, onConflictClause, verb = 'INSERT' } = statement;
  if (
    relation === undefined ||
    selectStmt === undefined ||
    !('SelectStmt' in selectStmt) ||
    statement.withClause
  )
    throw new Unwritable('INSERT');
  writer.put(verb);
  writeModifiers(writer, statement);
  writeRange(writer.put('INTO'), relation);
  const cols = statement.cols ?? [];
  if (cols.length > 0)
    writer
      .put('(')
      .list(cols, (column) => writer.name(nameOf(column)))
      .put(')');
  const select = selectStmt.SelectStmt;
  writer.keepsNames = false;
  writer.query(writer, select);
  writer.keepsNames = true;
  if (rowAlias !== undefined) writeRowAlias(writer, rowAlias);
  if (onConflictClause !== undefined) {
    if (onConflictClause.action !== 'ONCONFLICT_UPDATE') throw new Unwritable('ON CONFLICT');
    writer.put('ON DUPLICATE KEY UPDATE');
    writeAssignments(writer, onConflictClause.targetList ?? []);
  }
  writeReturning(writer, statement.returningClause);
}

function writeRowAlias(writer: Writer, { aliasname = '', colnames }: Alias): void {
  writer.put('AS').name(aliasname);
  const names = namesOf(colnames);
  if (names.length > 0) writer.arguments(names, (name) => writer.name(name));
}

function nameOf(column: Node): string {
  if (!('ResTarget' in column)) throw new Unwritable('a column');
  return column.ResTarget.name ?? '';
}

function writeAssignments(writer: Writer, targets: readonly Node[]): void {
  writer.list(targets, (target) => {
    if (!('ResTarget' in target)) throw new Unwritable('an assignment');
    const { name = '', table, val } = target.ResTarget as { name?: string; table?: string; val?: Node };
    writer.names(table === undefined ? [name] : [table, name]).put('=');
    writeExpression(writer, val);
  });
}

function writeReturning(writer: Writer, clause: ReturningClause | undefined): void {
  if (clause === undefined) return;
  writer.put('RETURNING').list(clause.exprs ?? [], (target) => writeTarget(writer, target));
}

function writeUpdate(writer: Writer, statement: UpdateStmt & Modifiers): void {
  if (statement.relation === undefined || statement.fromClause !== undefined) throw new Unwritable('UPDATE');
  if (statement.withClause !== undefined) writeWith(writer, statement.withClause);
  writer.put('UPDATE');
  writeModifiers(writer, statement);
  writeRange(writer, statement.relation);
  writeAssignments(writer.put('SET'), statement.targetList ?? []);
  writeWhere(writer, statement.whereClause, statement);
  writeReturning(writer, statement.returningClause);
}

function writeDelete(writer: Writer, statement: DeleteStmt & Modifiers): void {
  if (statement.relation === undefined || statement.usingClause !== undefined) throw new Unwritable('DELETE');
  if (statement.withClause !== undefined) writeWith(writer, statement.withClause);
  writer.put('DELETE');
  writeModifiers(writer, statement);
  writeRange(writer.put('FROM'), statement.relation);
  writeWhere(writer, statement.whereClause, statement);
  writeReturning(writer, statement.returningClause);
}

function writeWhere(writer: Writer, where: Node | undefined, { sortClause, limitCount }: Modifiers): void {
  if (where !== undefined) writeExpression(writer.put('WHERE'), where);
  if ((sortClause ?? []).length > 0) writeOrderBy(writer, sortClause!);
  if (limitCount !== undefined) writeExpression(writer.put('LIMIT'), limitCount);
}
