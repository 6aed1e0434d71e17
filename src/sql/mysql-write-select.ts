import type {
  JoinExpr,
  LockingClause,
  Node,
  RangeSubselect,
  RangeVar,
  SelectStmt,
  WithClause,
} from '@pgsql/types';
import { writeExpression, writeOrderBy, writeWindow } from './mysql-write-expression.js';
import { Unwritable, type Writer } from './mysql-writer.js';
import { namesOf } from './postgres-tree.js';

/** Writes a query without parentheses around it. */
export function writeQuery(writer: Writer, select: SelectStmt & { options?: string[] }): void {
  if (select.intoClause !== undefined) throw new Unwritable('INTO');
  if (select.withClause !== undefined) writeWith(writer, select.withClause);
  if ((select.op ?? 'SETOP_NONE') !== 'SETOP_NONE') writeSetOperation(writer, select);
  else if ((select.valuesLists ?? []).length > 0) writeRows(writer, select);
  else writeSelect(writer, select);
  writeTail(writer, select);
}

export function writeWith(writer: Writer, { ctes = [], recursive }: WithClause): void {
  writer.put(recursive ? 'WITH RECURSIVE' : 'WITH').list(ctes, (node) => {
    if (!('CommonTableExpr' in node)) throw new Unwritable('WITH');
    const cte = node.CommonTableExpr;
    if ('cycle' in cte) throw new Unwritable('CYCLE');
    writer.name(cte.ctename ?? '');
    if ((cte.aliascolnames ?? []).length > 0)
      writer.arguments(namesOf(cte.aliascolnames), (name) => writer.name(name));
    writer.put('AS').subquery(cte.ctequery);
  });
}

function writeSetOperation(writer: Writer, { op, all, larg, rarg }: SelectStmt): void {
  if (larg === undefined || rarg === undefined) throw new Unwritable('a set operation');
  writeSide(writer, larg, (larg.op ?? 'SETOP_NONE') === 'SETOP_INTERSECT' || op !== 'SETOP_INTERSECT');
  writer.put((op ?? '').replace('SETOP_', ''));
  if (all) writer.put('ALL');
  writeSide(writer, rarg, false);
}

/** A plain SELECT, and on the left a chain that is read from left to right, stand as they are; others need parentheses. */
function writeSide(writer: Writer, side: SelectStmt, mayChain: boolean): void {
  const isPlain =
    ((side.op ?? 'SETOP_NONE') === 'SETOP_NONE' || mayChain) &&
    side.withClause === undefined &&
    side.sortClause === undefined &&
    side.limitCount === undefined &&
    side.limitOffset === undefined &&
    side.lockingClause === undefined;
  if (isPlain) writer.query(writer, side);
  else writer.parenthesised(() => writer.query(writer, side));
}

function writeRows(writer: Writer, select: SelectStmt & { isRows?: boolean }): void {
  writer.put('VALUES').list(select.valuesLists ?? [], (row) => {
    const items = 'List' in row ? (row.List.items ?? []) : [];
    writer
      .put(select.isRows === true ? 'ROW(' : '(')
      .list(items, (item) => writeExpression(writer, item))
      .put(')');
  });
}

function writeSelect(writer: Writer, select: SelectStmt & { options?: string[] }): void {
  writer.put('SELECT');
  for (const option of select.options ?? []) writer.put(option);
  const distinct = select.distinctClause ?? [];
  if (distinct.length > 1 || (distinct.length === 1 && Object.keys(distinct[0]!).length > 0))
    throw new Unwritable('DISTINCT ON');
  if (distinct.length > 0) writer.put('DISTINCT');
  writer.list(select.targetList ?? [], (target) => writeTarget(writer, target));
  if ((select.fromClause ?? []).length > 0)
    writer.put('FROM').list(select.fromClause!, (item) => writeTable(writer, item));
  if (select.whereClause !== undefined) writeExpression(writer.put('WHERE'), select.whereClause);
  if ((select.groupClause ?? []).length > 0) writeGroups(writer, select.groupClause!);
  if (select.havingClause !== undefined) writeExpression(writer.put('HAVING'), select.havingClause);
  if ((select.windowClause ?? []).length > 0)
    writer.put('WINDOW').list(select.windowClause!, (node) => {
      if (!('WindowDef' in node)) throw new Unwritable('WINDOW');
      const { name, ...window } = node.WindowDef;
      writeWindow(writer.name(name ?? '').put('AS'), window);
    });
}

/** Manual, "Identifier Length Limits". */
const MAX_ALIAS = 255;

/** An output column without an alias gets the name that it would have had by its text. */
export function writeTarget(writer: Writer, node: Node): void {
  if (!('ResTarget' in node)) throw new Unwritable('a target');
  const target = node.ResTarget as { name?: string; val?: Node; written?: string };
  const name = target.name ?? (writer.keepsNames ? target.written : undefined);
  // The server takes texts as names of columns that it does not take as aliases.
  if (name !== undefined && (name.length > MAX_ALIAS || / $|\0|^$/.test(name)))
    throw new Unwritable('the name of a column');
  writeExpression(writer, target.val);
  if (name !== undefined) writer.put('AS').name(name);
}

function writeGroups(writer: Writer, items: readonly Node[]): void {
  const [first] = items;
  const rollup = first !== undefined && 'GroupingSet' in first ? first.GroupingSet : undefined;
  if (rollup !== undefined && (items.length > 1 || rollup.kind !== 'GROUPING_SET_ROLLUP'))
    throw new Unwritable('GROUPING SETS');
  writer.put('GROUP BY').list(rollup?.content ?? items, (item) => writeExpression(writer, item));
  if (rollup !== undefined) writer.put('WITH ROLLUP');
}

function writeTail(writer: Writer, select: SelectStmt): void {
  if ((select.sortClause ?? []).length > 0) writeOrderBy(writer, select.sortClause!);
  writeLimit(writer, select);
  for (const node of select.lockingClause ?? []) {
    if (!('LockingClause' in node)) throw new Unwritable('a lock');
    writeLock(writer, node.LockingClause);
  }
}

/** Only numbers and parameters can stand here. */
function writeLimit(writer: Writer, { limitCount, limitOffset, limitOption }: SelectStmt): void {
  for (const node of [limitCount, limitOffset]) {
    if (node === undefined || 'ParamRef' in node || ('A_Const' in node && !node.A_Const.isnull)) continue;
    throw new Unwritable('LIMIT by an expression');
  }
  if (limitOption === 'LIMIT_OPTION_WITH_TIES') {
    if (limitOffset !== undefined) writeExpression(writer.put('OFFSET'), limitOffset);
    if (limitOffset !== undefined) writer.put('ROWS');
    writeExpression(writer.put('FETCH FIRST'), limitCount);
    writer.put('ROWS WITH TIES');
    return;
  }
  if (limitCount === undefined && limitOffset !== undefined) {
    writeExpression(writer.put('OFFSET'), limitOffset);
    writer.put('ROWS');
    return;
  }
  if (limitCount !== undefined) writeExpression(writer.put('LIMIT'), limitCount);
  if (limitOffset !== undefined) writeExpression(writer.put('OFFSET'), limitOffset);
}

function writeLock(writer: Writer, lock: LockingClause & { isShareMode?: boolean; wait?: number }): void {
  if (lock.strength === 'LCS_FORUPDATE') writer.put('FOR UPDATE');
  else if (lock.strength === 'LCS_FORSHARE')
    writer.put(lock.isShareMode ? 'LOCK IN SHARE MODE' : 'FOR SHARE');
  else throw new Unwritable(lock.strength);
  if ((lock.lockedRels ?? []).length > 0)
    writer.put('OF').list(lock.lockedRels!, (node) => {
      if (!('RangeVar' in node)) throw new Unwritable('OF');
      writer.name(node.RangeVar.relname ?? '');
    });
  if (lock.waitPolicy === 'LockWaitError') writer.put('NOWAIT');
  if (lock.waitPolicy === 'LockWaitSkip') writer.put('SKIP LOCKED');
  if (lock.wait !== undefined) writer.put(`WAIT ${lock.wait}`);
}

export function writeTable(writer: Writer, node: Node): void {
  if ('RangeVar' in node) writeRange(writer, node.RangeVar);
  else if ('JoinExpr' in node) writeJoin(writer, node.JoinExpr);
  else if ('RangeSubselect' in node) writeDerived(writer, node.RangeSubselect);
  else throw new Unwritable('a FROM item');
}

type MysqlRange = RangeVar & { partitions?: string[]; indexHints?: string };

export function writeRange(writer: Writer, range: MysqlRange): void {
  const names = [range.schemaname, range.relname].filter((name) => name !== undefined);
  writer.names(names);
  if (range.partitions !== undefined)
    writer
      .put('PARTITION (')
      .list(range.partitions, (name) => writer.name(name))
      .put(')');
  if ((range.alias?.colnames ?? []).length > 0) throw new Unwritable('names of columns behind an alias');
  if (range.alias !== undefined) writer.put('AS').name(range.alias.aliasname ?? '');
  if (range.indexHints !== undefined) writer.put(range.indexHints);
}

function writeDerived(writer: Writer, { subquery, alias, lateral }: RangeSubselect): void {
  if (lateral) writer.put('LATERAL');
  writer
    .subquery(subquery)
    .put('AS')
    .name(alias?.aliasname ?? '');
  const names = namesOf(alias?.colnames);
  if (names.length > 0) writer.arguments(names, (name) => writer.name(name));
}

/** The right side stands in parentheses when it is a join itself; the left side never needs them. */
function writeJoin(writer: Writer, join: JoinExpr & { straight?: boolean }): void {
  if (join.larg === undefined || join.rarg === undefined || join.alias !== undefined)
    throw new Unwritable('a join');
  writeTable(writer, join.larg);
  writer.put(joinWords(join));
  if ('JoinExpr' in join.rarg) writer.parenthesised(() => writeTable(writer, join.rarg!));
  else writeTable(writer, join.rarg);
  if (join.quals !== undefined) writeExpression(writer.put('ON'), join.quals);
  const using = namesOf(join.usingClause);
  if (using.length > 0)
    writer
      .put('USING (')
      .list(using, (name) => writer.name(name))
      .put(')');
}

function joinWords({ jointype, isNatural, straight }: JoinExpr & { straight?: boolean }): string {
  const natural = isNatural ? 'NATURAL ' : '';
  if (jointype === 'JOIN_LEFT') return `${natural}LEFT JOIN`;
  if (jointype === 'JOIN_RIGHT') return `${natural}RIGHT JOIN`;
  if ((jointype ?? 'JOIN_INNER') !== 'JOIN_INNER') throw new Unwritable(jointype);
  if (straight) return 'STRAIGHT_JOIN';
  return `${natural}JOIN`;
}
