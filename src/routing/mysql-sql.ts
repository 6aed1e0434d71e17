import type { Node, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { deparseMysql } from '../sql/mysql-deparse.js';
import { mariadbParser, mysqlParser } from '../sql/mysql-parser.js';
import { splitStatements } from '../sql/mysql-split.js';
import { shownTemplate, templateOf } from '../sql/mysql-template.js';
import { ownedExclusion, quoteName } from '../sql/mysql-token.js';
import { namesOf, plainTypeOf, walk } from '../sql/postgres-tree.js';
import type { KeyType } from '../topology/keyspace.js';
import { type Analysis, TOP } from './analysis.js';
import type { Draft } from './draft.js';
import { isByteCollation, isOrderedByCollation } from './mysql-collations.js';
import {
  asksTheMysqlServer,
  isMysqlAggregate,
  mysqlFunctionFacts,
  sessionStateOf,
} from './mysql-functions.js';
import { insertWithNumberParameters, insertWithNumbers, mysqlInsertOfRows } from './mysql-insert-rows.js';
import { mysqlKeys } from './mysql-key.js';
import { isLooseInMysql } from './mysql-loose.js';
import { mysqlPassThroughPlan } from './mysql-pass-through.js';
import { leavesNoMysqlTrace } from './mysql-traceless.js';
import { planMysqlUtility } from './mysql-utility-plan.js';
import { mysqlVerbOf } from './mysql-verb.js';
import { isWeighedInMysql, weightsOf } from './mysql-weight.js';
import type { SqlDialect } from './sql-dialect.js';
import type { Statement } from './statement.js';

/** Casts that leave a value of the key's type as it is. CAST AS DATETIME is not one: it rounds to seconds. */
const KEEPING_CASTS: Partial<Record<KeyType, readonly string[]>> = {
  date: ['date'],
  uuid: ['uuid'],
  bytes: ['binary'],
};

/** MySQL's and MariaDB's SQL as routing knows it; `database`: for USE of the database that is there anyway; `grammar`: as of `Keyspace`. */
export function mysqlSql(database: string, grammar?: string): SqlDialect {
  return {
    // What the server would not read must not be answered by other words for it.
    parser: grammar === 'mysql-5' ? mariadbParser : mysqlParser,
    keys: mysqlKeys,
    advice: {
      byteOrder: 'COLLATE utf8mb4_nopad_bin (MariaDB), or CAST(… AS BINARY)',
      ownNumber: (column) => `Give "${column}" a value in the INSERT: a literal or a parameter.`,
    },
    templateOf: (sql) => templateOf(sql),
    shownTemplate: (sql) => shownTemplate(sql),
    split: (sql) => splitStatements(sql),
    write: (statement) => deparseMysql(statement),
    ordersParameters: true,
    placeholder: () => '?',
    quoteName,
    ownedExclusion,
    insertOfRows: mysqlInsertOfRows,
    withNumbers: insertWithNumbers,
    withNumberParameters: insertWithNumberParameters,
    verbOf: mysqlVerbOf,
    fold: (name) => name.toLowerCase(),
    isSystemColumn: () => false,
    targetName,
    withNames,
    seesOutputNamesInExpressions: true,
    ordersDistinctByAnything: true,
    wantsStarFirst: true,
    computesLimits: false,
    keyTypeOf: (column) => column.keyType,
    keepsKey: (keyType, castName) => KEEPING_CASTS[keyType]?.includes(castName) === true,
    takesBits: (keyType) => keyType === 'bytes',
    // Digits behind the point depend on a session's variable.
    typesAverages: false,
    isAggregate: isMysqlAggregate,
    functionFacts: mysqlFunctionFacts,
    leavesNoTrace: leavesNoMysqlTrace,
    asksTheServer: asksTheMysqlServer,
    numbersNullAndZero: true,
    // NULL is the lowest value.
    nullsFirst: (descending) => !descending,
    isText: isOrderedByCollation,
    // max() of a BIT is its decimal digits, called a BIT.
    isShownOtherwise: ({ type }) => /^bit\b/i.test(type),
    isByteCollation,
    isByteOrdered,
    isLoose: isLooseInMysql,
    isWeighed: isWeighedInMysql,
    weightsOf,
    planInto,
    sessionState: sessionStateOf,
    planUtility: planMysqlUtility,
    passThroughPlan: (sql, template) => mysqlPassThroughPlan(sql, template, database),
  };
}

/** CAST(… AS BINARY). */
function isByteOrdered(expression: Node): boolean {
  if (!('TypeCast' in expression)) return false;
  const cast = plainTypeOf(expression.TypeCast.typeName);
  return cast?.name === 'binary' && !cast.isArray;
}

/** Its alias, the column's name, or its text as it was written. */
function targetName(target: Node | undefined): string {
  if (target === undefined || !('ResTarget' in target)) return '';
  const { name, val, written } = target.ResTarget as { name?: string; val?: Node; written?: string };
  if (name !== undefined) return name;
  const column = val !== undefined && 'ColumnRef' in val ? namesOf(val.ColumnRef.fields).at(-1) : undefined;
  return column ?? written ?? '';
}

/**
 * The server names columns after the text of their expressions, which changes when it is written anew; so each gets its name as an
 * alias. ORDER BY NULL orders nothing.
 */
function withNames(select: SelectStmt, statement: Statement): SelectStmt {
  const { options } = select as { options?: readonly string[] };
  if (options?.includes('SQL_CALC_FOUND_ROWS') === true)
    throw unsupported('SQL_CALC_FOUND_ROWS over several shards', 'Use SELECT COUNT(*).');
  const targetList = (select.targetList ?? []).map((target): Node => {
    if (!('ResTarget' in target)) return target;
    const { name, val, written } = target.ResTarget as { name?: string; val?: Node; written?: string };
    if (name !== undefined || written === undefined || val === undefined || 'ColumnRef' in val) return target;
    // The name holds the literals of this very text.
    walk(val, (kind, node) => {
      const found = kind === 'A_Const' ? statement.literals.find(node) : undefined;
      if (found !== undefined) statement.literals.read.add(found.index);
      return undefined;
    });
    return { ResTarget: { ...target.ResTarget, name: written } };
  });
  const { sortClause, ...rest } = select;
  const sorts = (sortClause ?? []).filter((item) => !isNullSort(item));
  return sorts.length === 0 ? { ...rest, targetList } : { ...rest, targetList, sortClause: sorts };
}

function isNullSort(item: Node): boolean {
  const node = 'SortBy' in item ? item.SortBy.node : undefined;
  return node !== undefined && 'A_Const' in node && node.A_Const.isnull === true;
}

/** INTO OUTFILE, DUMPFILE, @variables: something of the one server that runs it. */
function planInto(select: SelectStmt, analysis: Analysis): Draft {
  const { intoClause: _into, ...rest } = select;
  const { shape } = analysis.query(rest, TOP);
  if (shape.type === 'spread' || shape.type === 'pinned')
    throw unsupported(
      'SELECT … INTO a file or variables from sharded tables',
      'Read the rows in the application.',
    );
  return { access: 'write', placement: { type: 'home' }, session: { type: 'pin', reason: 'SELECT … INTO' } };
}
