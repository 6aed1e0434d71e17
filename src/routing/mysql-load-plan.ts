import { unsupported } from '../lib/errors.js';
import { writeLoad } from '../sql/mysql-load.js';
import { quoteName } from '../sql/mysql-token.js';
import type { LoadOptions, MysqlStatements } from '../sql/mysql-tree.js';
import type { Column, Table } from '../topology/keyspace.js';
import type { Draft } from './draft.js';
import type { IncomingRows } from './incoming-rows.js';
import { refuseView } from './modify-plan.js';
import { type LoadedRows, LoadRows } from './mysql-load-rows.js';
import { placeOf } from './postgres-ddl-plan.js';
import type { Statement } from './statement.js';

const INSTEAD = 'Use INSERT with several rows.';
/** Character sets in which no byte of another character looks like a separator; shard keys are read in UTF-8 and ASCII. */
const CHARSETS = new Set(['utf8mb4', 'utf8mb3', 'utf8', 'ascii', 'latin1', 'binary']);

/** LOAD DATA: on the home shard as it is; into tables of other shards row by row, where we read rows as the servers do. */
export function planLoad(load: MysqlStatements['LoadDataStmt'], statement: Statement): Draft {
  const table = statement.find(load.relation);
  refuseView(table, load.relation, statement.keyspace);
  const place = placeOf(load.relation, statement);
  if (place === 'home') return { placement: { type: 'home' }, access: 'write' };
  const target = `${place} table "${load.relation.relname}"`;
  if (!load.isLocal)
    throw unsupported(`LOAD DATA of a file of the server into ${target}`, 'Use LOAD DATA LOCAL.');
  if (load.options === undefined) throw unsupported(`LOAD XML into ${target}`, INSTEAD);
  if (table?.placement !== place)
    throw unsupported(`LOAD DATA into ${target}, which is no table yet`, INSTEAD);
  statement.used.add(table);
  const incoming = incomingRows(load.options, table, statement.keyspace.charset);
  return {
    placement: { type: 'every' },
    access: 'write',
    incoming,
    ...(table.placement === 'sharded' ? { usesSharded: true } : { writesReference: true }),
  };
}

function incomingRows(options: LoadOptions, table: Table, databaseCharset: string | undefined): IncomingRows {
  const charset = options.charset ?? databaseCharset?.toLowerCase() ?? '';
  checkForm(options, charset, table);
  const columns = columnsOf(options, table);
  const rows: LoadedRows = {
    options,
    charset,
    fieldCount: columns.length,
    key: keyOf(columns, table),
    given: givenOf(columns, table),
  };
  return {
    sql: writeLoad(options, {
      table: `${quoteName(table.schema)}.${quoteName(table.name)}`,
      charset,
      columns: columns.map(({ name }) => quoteName(name)),
    }),
    keyType: table.key?.type,
    cut: (maxRowBytes) => new LoadRows(rows, maxRowBytes),
  };
}

/** Refuses files in which we might find other rows than the servers do. */
function checkForm(options: LoadOptions, charset: string, table: Table): void {
  const { terminatedBy, enclosedBy, escapedBy, startingBy, lineEnd } = options;
  const refuse = (what: string, hint: string) => {
    throw unsupported(`LOAD DATA into ${table.placement} table "${table.name}" with ${what}`, hint);
  };
  if (options.hasPartitions) refuse('PARTITION', 'Leave PARTITION out.');
  if (options.hasSet) refuse('SET', 'Write the values into the file.');
  if (!CHARSETS.has(charset))
    refuse(`the character set "${charset}"`, 'Write the file in UTF-8 and say CHARACTER SET utf8mb4.');
  if (terminatedBy === '' || lineEnd === '')
    refuse(
      'fields of a fixed size or lines without an end',
      'Say FIELDS TERMINATED BY and LINES TERMINATED BY.',
    );
  if (enclosedBy.length > 1 || escapedBy.length > 1)
    refuse('ENCLOSED BY or ESCAPED BY of several characters', 'Each is one character, or none.');
  const separators = [terminatedBy, lineEnd, startingBy, enclosedBy, escapedBy];
  if (!separators.every((separator) => /^[\x00-\x7f]*$/.test(separator)))
    refuse('separators that are not ASCII', 'Use ASCII characters.');
  const ends = [terminatedBy[0], lineEnd[0]];
  const marks = [enclosedBy, escapedBy].filter((mark) => mark !== '');
  if (terminatedBy === lineEnd || marks.some((mark) => ends.includes(mark)))
    refuse('separators that begin alike', 'Use other characters.');
}

/** The columns of the file's fields, in order. */
function columnsOf({ columns }: LoadOptions, table: Table): readonly Column[] {
  if (columns === undefined) {
    const unclear = table.columns.find(({ isGenerated, isInvisible }) => isGenerated || isInvisible === true);
    if (unclear === undefined) return table.columns;
    throw unsupported(
      `LOAD DATA into ${table.placement} table "${table.name}" without a list of columns, since "${unclear.name}" is ${unclear.isGenerated ? 'generated' : 'invisible'}`,
      'Name the columns of the file.',
    );
  }
  const named = columns.map((name) => {
    if (name === undefined)
      throw unsupported(
        `LOAD DATA into ${table.placement} table "${table.name}" with fields that are read into variables`,
        'Write a file that has the columns only.',
      );
    const column = table.columns.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
    if (column !== undefined && !column.isGenerated) return column;
    throw unsupported(
      `LOAD DATA into "${name}" of "${table.name}", which is no column that can be written`,
      `The columns are: ${table.columns.map((candidate) => candidate.name).join(', ')}.`,
    );
  });
  if (new Set(named).size < named.length || named.length === 0)
    throw unsupported(
      `LOAD DATA into ${table.placement} table "${table.name}" with a list of columns that is empty or names one twice`,
      'Name each column once.',
    );
  return named;
}

function keyOf(columns: readonly Column[], table: Table): LoadedRows['key'] {
  const { key } = table;
  if (key === undefined) return undefined;
  const field = columns.findIndex(({ name }) => name === key.column);
  if (field === -1)
    throw unsupported(
      `LOAD DATA into sharded table "${table.name}" without its shard key "${key.column}"`,
      `Add "${key.column}" to the columns and to the file.`,
    );
  return { ...key, field, hasAllCharacters: columns[field]!.charset === 'utf8mb4' };
}

/** Columns that a server fills in itself: numbers, and what a default or a NULL in a reference table would make differ from shard to shard. */
function givenOf(columns: readonly Column[], table: Table): LoadedRows['given'] {
  const given: { field: number; column: string; isNumber: boolean }[] = [];
  for (const column of table.columns) {
    const { name, isSequenceFilled: isNumber, isDefaultVolatile, isNotNull, type } = column;
    const isReference = table.placement === 'reference';
    const field = columns.indexOf(column);
    const isNow = isReference && isNotNull && /^timestamp\b/i.test(type);
    if (field === -1 && (isNumber || (isReference && (isDefaultVolatile === true || isNow))))
      throw unsupported(
        `LOAD DATA into "${table.name}" without "${name}", which each shard would fill on its own`,
        `Add "${name}" to the columns and to the file.`,
      );
    if (field !== -1 && (isNumber || isNow)) given.push({ field, column: name, isNumber });
  }
  return given;
}
