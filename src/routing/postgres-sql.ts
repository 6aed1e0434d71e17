import type { Node } from '@pgsql/types';
import { deparse } from '../sql/postgres-deparse.js';
import { PostgresLexer, Tok } from '../sql/postgres-lexer.js';
import type { SqlParser } from '../sql/postgres-parser.js';
import { splitStatements } from '../sql/postgres-split.js';
import { shownTemplate, templateOf } from '../sql/postgres-template.js';
import { ownedExclusion, quoteName } from '../sql/postgres-token.js';
import type { Column, KeyType } from '../topology/keyspace.js';
import { keyTypeOf, TYPE } from './binary-key.js';
import { isAggregate } from './postgres-aggregates.js';
import { asksTheServer, functionFacts } from './postgres-functions.js';
import { insertOfRows, insertWithNumbers } from './postgres-insert-rows.js';
import { planInto } from './postgres-into-plan.js';
import { postgresKeys } from './postgres-key.js';
import { targetName } from './postgres-output-name.js';
import { passThroughPlan } from './postgres-pass-through.js';
import { leavesNoTrace } from './postgres-traceless.js';
import { planUtility } from './postgres-utility-plan.js';
import { verbOf } from './postgres-verb.js';
import type { SqlDialect, WrittenText } from './sql-dialect.js';

/** Casts that leave a value of the key's type as it is. */
const KEEPING_CASTS: Partial<Record<KeyType, readonly string[]>> = {
  integer: ['int2', 'int4', 'int8'],
  numeric: ['numeric'],
  text: ['text', 'varchar'],
  bpchar: ['text', 'varchar', 'bpchar'],
  uuid: ['uuid'],
  bytes: ['bytea'],
  date: ['date'],
  timestamp: ['timestamp'],
  timestamptz: ['timestamptz'],
};

const SYSTEM_COLUMNS = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid']);
const COLLATABLE = new Set<number>([TYPE.text, TYPE.bpchar, TYPE.varchar]);
const BYTE_COLLATIONS = new Set(['C', 'POSIX', 'ucs_basic']);
/** From here on types are made by users: domains and enums among them. */
const FIRST_USER_TYPE = 16_384;

/** Postgres' SQL as routing knows it. */
export function postgresSql(parser: SqlParser): SqlDialect {
  return {
    parser,
    keys: postgresKeys,
    advice: {
      byteOrder: 'COLLATE "C"',
      ownNumber: (column) =>
        `Leave "${column}" out of INSERT … VALUES, or give it a value (SELECT nextval(…) goes to the home shard).`,
    },
    templateOf,
    shownTemplate,
    split: splitStatements,
    write: (statement) => write(statement, parser),
    ordersParameters: false,
    placeholder: (number) => `$${number}`,
    quoteName,
    ownedExclusion,
    insertOfRows(sql, rows, expected) {
      const text = insertOfRows(sql, rows, expected);
      return text === undefined ? undefined : { sql: text };
    },
    verbOf,
    fold: (name) => name,
    isSystemColumn: (name) => SYSTEM_COLUMNS.has(name),
    targetName,
    withNames: (select) => select,
    seesOutputNamesInExpressions: false,
    ordersDistinctByAnything: false,
    wantsStarFirst: false,
    computesLimits: true,
    keyTypeOf: keyTypeOfColumn,
    keepsKey: (keyType, castName) => KEEPING_CASTS[keyType]?.includes(castName) === true,
    takesBits: () => false,
    typesAverages: true,
    isAggregate,
    functionFacts,
    leavesNoTrace,
    asksTheServer,
    numbersNullAndZero: false,
    nullsFirst: (descending) => descending,
    isText: (column) => COLLATABLE.has(column.typeOid) || column.typeOid >= FIRST_USER_TYPE,
    isShownOtherwise: () => false,
    isByteCollation: (name) => BYTE_COLLATIONS.has(name),
    isByteOrdered: () => false,
    isLoose: (_expression, columns) => columns.some((column) => column?.isLooselyEqual === true),
    // Postgres has no function for what an ICU or libc collation compares.
    isWeighed: () => false,
    weightsOf: () => {
      throw new TypeError('texts have no weights in Postgres');
    },
    planInto,
    sessionState: () => undefined,
    withNumbers: (sql, { column, position }, numbers) =>
      insertWithNumbers(sql, quoteName(column), position, numbers),
    planUtility,
    passThroughPlan: (sql, template, keyspace) => passThroughPlan(sql, template, parser, keyspace),
  };
}

/** Texts that differ may be equal in a loose column, so equality says nothing of where rows are. */
function keyTypeOfColumn(column: Column): KeyType | undefined {
  return column.isLooselyEqual === true ? undefined : keyTypeOf(column.typeOid);
}

function write(statement: Node, parser: SqlParser): WrittenText | undefined {
  const sql = deparse(statement, parser);
  if (sql === undefined) return undefined;
  const parameters: { start: number; end: number; number: number }[] = [];
  const lexer = new PostgresLexer(sql);
  for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next())
    if (kind === Tok.parameter)
      parameters.push({ start: lexer.start, end: lexer.end, number: Number(lexer.source.slice(1)) });
  return { sql, parameters };
}
