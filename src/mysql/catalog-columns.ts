import { isByteCollation, isPlainCollation } from '../routing/mysql-collations.js';
import { MYSQL_TYPE, UNSIGNED } from '../routing/mysql-key.js';
import type { Column, KeyBounds, KeyType } from '../topology/keyspace.js';

/** What information_schema.COLUMNS says of one column. */
export interface ColumnRow {
  readonly name: string;
  /** In full: `int(10) unsigned`. */
  readonly type: string;
  /** The bare type: `int`. */
  readonly dataType: string;
  readonly isNullable: boolean;
  readonly defaultSql: string | null;
  readonly extra: string;
  readonly charset: string | null;
  readonly collation: string | null;
  /** Characters for text, bytes for binary strings. */
  readonly maxLength: number;
  readonly precision: number;
  readonly scale: number;
  /** Digits of the seconds. */
  readonly timeScale: number;
}

const CODES: Readonly<Record<string, number>> = {
  tinyint: MYSQL_TYPE.tiny,
  smallint: MYSQL_TYPE.short,
  mediumint: MYSQL_TYPE.int24,
  int: MYSQL_TYPE.long,
  bigint: MYSQL_TYPE.longlong,
  decimal: MYSQL_TYPE.newdecimal,
  float: MYSQL_TYPE.float,
  double: MYSQL_TYPE.double,
  bit: MYSQL_TYPE.bit,
  year: MYSQL_TYPE.year,
  date: MYSQL_TYPE.date,
  time: MYSQL_TYPE.time,
  datetime: MYSQL_TYPE.datetime,
  timestamp: MYSQL_TYPE.timestamp,
  char: MYSQL_TYPE.string,
  binary: MYSQL_TYPE.string,
  enum: MYSQL_TYPE.string,
  set: MYSQL_TYPE.string,
  uuid: MYSQL_TYPE.string,
  inet4: MYSQL_TYPE.string,
  inet6: MYSQL_TYPE.string,
  varchar: MYSQL_TYPE.varString,
  varbinary: MYSQL_TYPE.varString,
  json: MYSQL_TYPE.json,
};

const INTEGER_BITS: Readonly<Record<string, bigint>> = {
  tinyint: 8n,
  smallint: 16n,
  mediumint: 24n,
  int: 32n,
  bigint: 64n,
};
/** Behind it there is room in `ringferry_numbers`, whose numbers have 64 bits, for blocks. */
const GREATEST_NUMBER = 2n ** 64n - 2n ** 32n;
const TEXTS = new Set(['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext']);
const BINARIES = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob']);
/** Character sets whose texts we read as the server does. */
const KNOWN_CHARSETS = new Set(['utf8mb4', 'utf8mb3', 'utf8', 'latin1', 'ascii']);
/** Decimals of more digits are not told apart when the server compares them as doubles (DBL_DIG). */
const MAX_KEY_DIGITS = 15;

export function columnOf(row: ColumnRow): Column {
  const { dataType, extra } = row;
  const isGenerated = /\b(GENERATED|VIRTUAL|PERSISTENT)\b/i.test(extra.replace(/DEFAULT_GENERATED/gi, ''));
  const isText = isTextType(dataType);
  const keyType = keyTypeOfColumn(row);
  return {
    name: row.name,
    type: row.type,
    typeOid: typeCode(row),
    isNotNull: !row.isNullable,
    defaultSql: isGenerated || row.defaultSql === null ? undefined : row.defaultSql,
    isSequenceFilled: /auto_increment/i.test(extra) || /\bnext(val|_value)?\b.*`/i.test(row.defaultSql ?? ''),
    ...(/auto_increment/i.test(extra) ? { greatestNumber: greatestOf(row) } : {}),
    isGenerated,
    ...(/\binvisible\b/i.test(extra) ? { isInvisible: true } : {}),
    ...(row.charset === null ? {} : { charset: row.charset.toLowerCase() }),
    hasByteOrder: BINARIES.has(dataType) || (TEXTS.has(dataType) && isByteCollation(row.collation ?? '')),
    ...(keyType === undefined ? {} : { keyType }),
    ...(isText && !isByteCollation(row.collation ?? '') ? { isLooselyEqual: true } : {}),
    ...(isVolatileDefault(row.defaultSql ?? '') ? { isDefaultVolatile: true } : {}),
    ...(/on update/i.test(extra) ? { isUpdateVolatile: true } : {}),
  };
}

function isTextType(dataType: string): boolean {
  return TEXTS.has(dataType) || dataType === 'json';
}

function isVolatileDefault(text: string): boolean {
  return /[a-z_]\w*\s*\(|\bcurrent_(date|time|timestamp)\b|\blocaltime(stamp)?\b/i.test(
    text.replace(/'(?:[^'\\]|''|\\.)*'/gs, ''),
  );
}

function typeCode({ dataType, type }: ColumnRow): number {
  const code =
    CODES[dataType] ??
    (dataType.endsWith('text') || dataType.endsWith('blob') ? MYSQL_TYPE.blob : MYSQL_TYPE.geometry);
  return /\bunsigned\b/i.test(type) ? code | UNSIGNED : code;
}

/** Values of the column as keys; undefined where equality in the database is not that of any canonical text. */
function keyTypeOfColumn(row: ColumnRow): KeyType | undefined {
  const { dataType, precision } = row;
  if (INTEGER_BITS[dataType] !== undefined) return 'integer';
  if (dataType === 'decimal') return precision <= MAX_KEY_DIGITS ? 'numeric' : undefined;
  if (dataType === 'date') return 'date';
  if (dataType === 'datetime') return 'timestamp';
  if (dataType === 'uuid') return 'uuid';
  if (BINARIES.has(dataType)) return 'bytes';
  if (!TEXTS.has(dataType) || !KNOWN_CHARSETS.has((row.charset ?? '').toLowerCase())) return undefined;
  const collation = (row.collation ?? '').toLowerCase();
  // A CHAR loses its trailing blanks when it is stored, whatever its collation.
  if (isByteCollation(collation) && dataType !== 'char') return 'text';
  if (/_bin$/.test(collation)) return 'bpchar';
  return isPlainCollation(collation) ? 'text-ci' : undefined;
}

/** What the column stores unchanged; everything else would be another key than it was routed by. */
export function boundsOf(row: ColumnRow): { maxLength?: number; bounds?: KeyBounds } {
  const { dataType } = row;
  const bits = INTEGER_BITS[dataType];
  if (bits !== undefined) {
    const isUnsigned = /\bunsigned\b/i.test(row.type);
    return {
      bounds: isUnsigned
        ? { low: 0n, high: 2n ** bits - 1n }
        : { low: -(2n ** (bits - 1n)), high: 2n ** (bits - 1n) - 1n },
    };
  }
  if (dataType === 'decimal') {
    const isUnsigned = /\bunsigned\b/i.test(row.type);
    return { bounds: { precision: row.precision, scale: row.scale, ...(isUnsigned ? { low: 0n } : {}) } };
  }
  if (dataType === 'datetime') return { bounds: { scale: row.timeScale } };
  if (dataType === 'binary') return { bounds: { minBytes: row.maxLength, maxBytes: row.maxLength } };
  if (BINARIES.has(dataType)) return { bounds: { maxBytes: row.maxLength } };
  return TEXTS.has(dataType) ? { maxLength: row.maxLength } : {};
}

/** Floating point columns, too, can be numbered: their whole numbers have 53 bits. */
function greatestOf(row: ColumnRow): bigint {
  const greatest = boundsOf(row).bounds?.high ?? 2n ** 53n;
  return greatest < GREATEST_NUMBER ? greatest : GREATEST_NUMBER;
}

/** For the refusal of a key. */
export function whyNoKey(row: ColumnRow): string {
  if (row.dataType === 'decimal')
    return `More than ${MAX_KEY_DIGITS} digits are not told apart when MySQL compares them with a string: use bigint.`;
  if (row.dataType === 'timestamp')
    return 'What is written for a timestamp depends on the session’s time_zone: use datetime.';
  if (TEXTS.has(row.dataType))
    return 'Collations of languages take different texts as equal: use utf8mb4_bin, utf8mb4_general_ci, utf8mb4_unicode_ci or the like.';
  return 'Types that can: integers, char, varchar, binary, varbinary, decimal up to 15 digits, date, datetime, uuid.';
}
