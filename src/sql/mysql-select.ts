import type { Node, SelectStmt, SetOperation, WithClause } from '@pgsql/types';
import { withFixedNames } from './mysql-constant.js';
import { readExpression } from './mysql-expressions.js';
import { readOutputName, readTableName, readTables } from './mysql-from.js';
import { Tok } from './mysql-lexer.js';
import { readLimit, readLocking } from './mysql-limit.js';
import type { Reader } from './mysql-reader.js';
import { readOrderBy } from './mysql-sort.js';
import { beginsRows, readSubquery } from './mysql-subquery.js';
import { columnNode, type Fields, listNode, makeNode, present, rangeNode, stringNode } from './mysql-tree.js';
import { readWindows } from './mysql-windows.js';
import { SELECT_OPTIONS } from './mysql-words.js';

/** A query: WITH, SELECTs joined by UNION and the like, ORDER BY, LIMIT, locks. */
export function readQuery(reader: Reader): SelectStmt {
  const withClause = readWith(reader);
  const body = readSetOperations(reader);
  const tail = readTail(reader);
  // (SELECT … LIMIT 1) LIMIT 2: two limits need two levels.
  if (hasFields(tail) && hasTail(body, tail)) throw reader.unexpected();
  if (withClause !== undefined && body.withClause !== undefined) throw reader.unexpected();
  return present<SelectStmt>({ ...body, ...tail, withClause: withClause ?? body.withClause });
}

function hasFields(fields: object): boolean {
  return Object.keys(fields).length > 0;
}

function hasTail(select: SelectStmt, tail: Fields): boolean {
  return (
    select.sortClause !== undefined ||
    select.limitCount !== undefined ||
    select.limitOffset !== undefined ||
    select.lockingClause !== undefined ||
    (select.intoClause !== undefined && tail['intoClause'] !== undefined)
  );
}

function readTail(reader: Reader): Fields {
  const sortClause = readOrderBy(reader);
  const limit = readLimit(reader);
  const locking = readLocking(reader);
  const into = readInto(reader);
  const lockingClause = locking ?? readLocking(reader);
  return present<Fields>({ sortClause, ...limit, lockingClause, intoClause: into });
}

export function readWith(reader: Reader): WithClause | undefined {
  if (!reader.accept('WITH')) return undefined;
  const recursive = reader.accept('RECURSIVE');
  const ctes = reader.list(() => {
    const ctename = reader.name();
    const aliascolnames = reader.isSymbol('(')
      ? reader.parenthesised(() => reader.list(() => stringNode(reader.name())))
      : undefined;
    reader.expect('AS');
    const ctequery = withFixedNames(readSubquery(reader));
    // CYCLE … RESTRICT belongs to MariaDB's recursion.
    const cycle = reader.accept('CYCLE') ? reader.list(() => reader.name()) : undefined;
    if (cycle !== undefined) reader.expect('RESTRICT');
    return makeNode('CommonTableExpr', { ctename, aliascolnames, ctequery, cycle });
  });
  return present<WithClause>({ ctes, recursive });
}

/** UNION and EXCEPT from left to right; INTERSECT binds more strongly. */
function readSetOperations(reader: Reader): SelectStmt {
  let left = readIntersections(reader);
  for (let length = 1; reader.is('UNION', 'EXCEPT'); length++) {
    reader.checkChain(length);
    const op = `SETOP_${reader.next().word}` as SetOperation;
    left = combined(reader, op, left, readIntersections);
  }
  return left;
}

function readIntersections(reader: Reader): SelectStmt {
  let left = readTerm(reader);
  for (let length = 1; reader.is('INTERSECT'); length++) {
    reader.checkChain(length);
    reader.next();
    left = combined(reader, 'SETOP_INTERSECT', left, readTerm);
  }
  return left;
}

function combined(
  reader: Reader,
  op: SetOperation,
  larg: SelectStmt,
  read: (reader: Reader) => SelectStmt,
): SelectStmt {
  const all = reader.accept('ALL');
  if (!all) reader.accept('DISTINCT');
  return present<SelectStmt>({ op, all, larg, rarg: read(reader), limitOption: 'LIMIT_OPTION_DEFAULT' });
}

function readTerm(reader: Reader): SelectStmt {
  if (reader.isSymbol('(')) return reader.deeper(() => reader.parenthesised(() => readQuery(reader)));
  if (reader.is('VALUES')) return readTableValues(reader);
  if (reader.knowsMysql8 && reader.is('TABLE')) return readTableRows(reader);
  return readSelect(reader);
}

/** VALUES (…), (…) (MariaDB) or VALUES ROW(…), ROW(…) (MySQL) as a query of its own. */
function readTableValues(reader: Reader): SelectStmt {
  const isRows = beginsRows(reader);
  reader.expect('VALUES');
  const valuesLists = reader.list(() => {
    if (isRows) reader.expect('ROW');
    return readRow(reader);
  });
  return present<SelectStmt>({ valuesLists, isRows, limitOption: 'LIMIT_OPTION_DEFAULT' });
}

/** TABLE t is SELECT * FROM t (MySQL manual, "TABLE Statement"). */
function readTableRows(reader: Reader): SelectStmt {
  const location = reader.byteOffset(reader.token.start);
  reader.expect('TABLE');
  return {
    targetList: [makeNode('ResTarget', { val: columnNode(['*'], location), location })],
    fromClause: [rangeNode(readTableName(reader))],
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
}

/** A row of VALUES. */
export function readRow(reader: Reader): Node {
  return reader.parenthesised(() =>
    reader.isSymbol(')') ? { List: { items: [] } } : listNode(reader.list(() => readExpression(reader))),
  );
}

function readSelect(reader: Reader): SelectStmt {
  reader.expect('SELECT');
  const options: string[] = [];
  let isDistinct = false;
  for (; ; reader.next()) {
    if (reader.is('DISTINCT', 'DISTINCTROW')) isDistinct = true;
    else if (SELECT_OPTIONS.has(reader.token.word)) options.push(reader.token.word);
    else if (!reader.is('ALL')) break;
  }
  const targetList = reader.list(() => readTarget(reader));
  const intoBefore = readInto(reader);
  const fromClause = reader.accept('FROM') ? readTables(reader) : undefined;
  const whereClause = reader.accept('WHERE') ? readExpression(reader) : undefined;
  const groupClause = reader.accept('GROUP', 'BY') ? readGroups(reader) : undefined;
  const havingClause = reader.accept('HAVING') ? readExpression(reader) : undefined;
  const windowClause = reader.accept('WINDOW') ? readWindows(reader) : undefined;
  if (reader.is('PROCEDURE')) throw reader.unexpected();
  return present<SelectStmt>({
    distinctClause: isDistinct ? [{}] : undefined,
    options,
    targetList,
    intoClause: intoBefore,
    fromClause,
    whereClause,
    groupClause,
    havingClause,
    windowClause,
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  });
}

/** An output column. Without an alias the server names it after its text. */
export function readTarget(reader: Reader): Node {
  const { start } = reader.token;
  const location = reader.byteOffset(start);
  const star = readStar(reader);
  if (star !== undefined) return makeNode('ResTarget', { val: star, location });
  const { kind, source } = reader.token;
  const val = readExpression(reader);
  const text = reader.textFrom(start);
  const name = readOutputName(reader);
  if (name !== undefined) return makeNode('ResTarget', { name, val, location });
  // A string names its column by what it says, a column by itself.
  const isString = text === source && (kind === Tok.string || kind === Tok.national) && 'A_Const' in val;
  const written = 'ColumnRef' in val ? undefined : isString ? (val.A_Const.sval?.sval ?? '') : text;
  return makeNode('ResTarget', { val, location, written });
}

/** `*`, `t.*`, `db.t.*` */
function readStar(reader: Reader): Node | undefined {
  const location = reader.byteOffset(reader.token.start);
  if (reader.acceptSymbol('*')) return columnNode(['*'], location);
  const depth = reader.isSymbol('.', 1) && reader.isSymbol('*', 2) ? 1 : isLongStar(reader) ? 2 : 0;
  if (depth === 0) return undefined;
  const names = [reader.name()];
  reader.next();
  if (depth === 2) {
    names.push(reader.anyName());
    reader.next();
  }
  reader.next();
  return columnNode([...names, '*'], location);
}

function isLongStar(reader: Reader): boolean {
  return reader.isSymbol('.', 1) && reader.isSymbol('.', 3) && reader.isSymbol('*', 4);
}

/** GROUP BY …, whose ASC and DESC (MySQL 5.6, MariaDB) would sort too. */
function readGroups(reader: Reader): Node[] {
  const items = reader.list(() => readExpression(reader));
  if (!reader.accept('WITH', 'ROLLUP')) return items;
  return [makeNode('GroupingSet', { kind: 'GROUPING_SET_ROLLUP', content: items })];
}

/** INTO OUTFILE, DUMPFILE or @variables: an IntoClause without a table. */
function readInto(reader: Reader): Fields | undefined {
  if (!reader.accept('INTO')) return undefined;
  if (reader.is('OUTFILE', 'DUMPFILE')) {
    const target = reader.next().word;
    while (!reader.isEnd && !reader.is('FROM', 'FOR', 'LOCK', 'UNION') && !reader.isSymbol(')'))
      reader.next();
    return { target };
  }
  const variables = reader.list(() => {
    if (reader.token.kind !== Tok.variable) throw reader.unexpected();
    return reader.next().source;
  });
  return { target: 'VARIABLES', variables };
}
