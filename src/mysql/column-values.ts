import { OperatingError } from '../lib/errors.js';
import { quoteName } from './engine-names.js';
import type { TableColumn } from './engine-tables.js';

/**
 * A column's value as an SQL literal of nothing but ASCII, which stores exactly the value that it was made from, whatever the
 * session's character set: numbers as they are, times as quoted text, all else as `X'…'`, whose bytes are stored
 * without conversion.
 */
export type Literal = string;

type Family = 'number' | 'float' | 'ordinal' | 'quoted' | 'bytes';

const FAMILIES: Readonly<Record<string, Family>> = {
  tinyint: 'number',
  smallint: 'number',
  mediumint: 'number',
  int: 'number',
  bigint: 'number',
  decimal: 'number',
  year: 'number',
  float: 'float',
  double: 'float',
  enum: 'ordinal',
  set: 'ordinal',
  date: 'quoted',
  datetime: 'quoted',
  timestamp: 'quoted',
  time: 'quoted',
  uuid: 'quoted',
  inet4: 'quoted',
  inet6: 'quoted',
  bit: 'ordinal',
  char: 'bytes',
  varchar: 'bytes',
  tinytext: 'bytes',
  text: 'bytes',
  mediumtext: 'bytes',
  longtext: 'bytes',
  binary: 'bytes',
  varbinary: 'bytes',
  tinyblob: 'bytes',
  blob: 'bytes',
  mediumblob: 'bytes',
  longblob: 'bytes',
  geometry: 'bytes',
  point: 'bytes',
  linestring: 'bytes',
  polygon: 'bytes',
  multipoint: 'bytes',
  multilinestring: 'bytes',
  multipolygon: 'bytes',
  geometrycollection: 'bytes',
};

/** Whether values of this type can be carried exactly; a table with others cannot be moved. */
export function isExactType(column: Pick<TableColumn, 'dataType'>): boolean {
  return FAMILIES[column.dataType] !== undefined;
}

function familyOf(column: TableColumn): Family {
  const family = FAMILIES[column.dataType];
  if (family !== undefined) return family;
  throw new OperatingError(
    'migration',
    `column ${column.name} is of type ${column.type}, which cannot be moved`,
    {
      hint: 'change its type, or keep its table out of the configuration',
    },
  );
}

/** What to SELECT for a column, so that `literalOf` can make an exact literal of the bytes that come. A FLOAT alone is shown with six digits. */
export function exactSql(column: TableColumn, row = ''): string {
  const name = `${row}${quoteName(column.name)}`;
  const family = familyOf(column);
  if (family === 'float') return `${name} + 0e0`;
  return family === 'ordinal' ? `${name} + 0` : name;
}

/** Makes literals of what `exactSql` gives in a session that says `SET character_set_results = NULL`. */
export function literalMaker(column: TableColumn): (bytes: Buffer | null) => Literal {
  switch (familyOf(column)) {
    case 'number':
    case 'ordinal':
      return (bytes) => bytes?.toString('latin1') ?? 'NULL';
    case 'float':
      return (bytes) => (bytes === null ? 'NULL' : asDouble(bytes.toString('latin1')));
    case 'quoted':
      return (bytes) => (bytes === null ? 'NULL' : `'${bytes.toString('latin1')}'`);
    case 'bytes':
      return (bytes) => (bytes === null ? 'NULL' : hexLiteral(bytes));
  }
}

export function hexLiteral(bytes: Buffer): Literal {
  return `X'${bytes.toString('hex')}'`;
}

/** Without an exponent the server reads a decimal: -0 would lose its sign. */
export function asDouble(text: string): Literal {
  return text.includes('e') ? text : `${text}e0`;
}
