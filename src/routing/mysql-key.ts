import { decodeLiteral } from '../sql/mysql-literal.js';
import { canonicalKey } from '../topology/key.js';
import type { KeyType } from '../topology/keyspace.js';
import type { KeyReader, KeyValues } from './key-value.js';
import type { KeySource, ParameterValues } from './plan.js';

/** Type codes of the protocol (manual, "enum_field_types"); an unsigned one has `UNSIGNED` added. */
export const MYSQL_TYPE = {
  decimal: 0,
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  null: 6,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  varchar: 15,
  bit: 16,
  json: 245,
  newdecimal: 246,
  enum: 247,
  set: 248,
  tinyblob: 249,
  mediumblob: 250,
  longblob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

export const UNSIGNED = 0x8000;

/** A value as the client gave it. `number`: exact; `float`: a double; `text`: a string, of which the server may make another type. */
type Given =
  | { readonly kind: 'number' | 'text'; readonly text: string }
  | { readonly kind: 'float'; readonly value: number; readonly isSingle: boolean }
  | { readonly kind: 'time'; readonly text: string }
  | { readonly kind: 'bytes'; readonly bytes: Buffer };

/** MySQL's literals and parameters as keys: only where the server compares them with the column as we do. */
export const mysqlKeys: KeyReader = { literal: literalValues, parameter: parameterValues };

function literalValues(
  source: KeySource & { type: 'literal' },
  keyType: KeyType,
  literal: string,
): KeyValues {
  if (source.array === true) return 'unknown';
  const value = decodeLiteral(literal);
  if (value === undefined) return 'unknown';
  if (value.type === 'bits') return source.negated ? 'unknown' : one(bytesOfBits(literal), keyType);
  if (value.type === 'string')
    return source.negated ? 'unknown' : one({ kind: 'text', text: value.text }, keyType);
  const text = source.negated ? `-${value.text}` : value.text;
  // With an exponent it is a double (manual, "Numeric Literals").
  return /e/i.test(text)
    ? one({ kind: 'float', value: Number(text), isSingle: false }, keyType)
    : one({ kind: 'number', text }, keyType);
}

function one(given: Given | undefined, keyType: KeyType): KeyValues {
  const canonical = given === undefined ? undefined : canonicalOf(given, keyType);
  return canonical === undefined ? 'unknown' : [canonical];
}

/** x'41', 0x41; bits (b'…') have no bytes of their own here. */
function bytesOfBits(literal: string): Given | undefined {
  const hex = /^(?:x'([0-9a-f]*)'|0x([0-9a-f]+))$/i.exec(literal);
  const digits = hex?.[1] ?? hex?.[2];
  if (digits === undefined) return undefined;
  if (digits.length % 2 === 1 && hex![1] !== undefined) return undefined;
  return { kind: 'bytes', bytes: Buffer.from(digits.length % 2 === 1 ? `0${digits}` : digits, 'hex') };
}

/** Beyond these a double equals more than one whole number. */
const MAX_EXACT = 2 ** 53;
const MAX_EXACT_SINGLE = 2 ** 24;
/** Decimals of so many digits are told apart as doubles (DBL_DIG). */
const EXACT_DIGITS = 15;

/** How the server compares values of different types: manual, "Type Conversion in Expression Evaluation". */
function canonicalOf(given: Given, keyType: KeyType): string | undefined {
  switch (keyType) {
    case 'integer':
      return integerOf(given);
    case 'numeric':
      return numericOf(given);
    case 'text':
    case 'bpchar':
    case 'text-ci':
      return given.kind === 'text' && isWhole(given.text)
        ? canonicalKey(keyType, given.text)
        : given.kind === 'bytes'
          ? textOfBytes(given.bytes, keyType)
          : undefined;
    case 'bytes':
      if (given.kind === 'bytes') return given.bytes.toString('hex');
      return given.kind === 'text' && isWhole(given.text)
        ? Buffer.from(given.text).toString('hex')
        : undefined;
    case 'date':
    case 'timestamp':
    case 'uuid':
      return given.kind === 'text' || (given.kind === 'time' && keyType !== 'uuid')
        ? timeOrUuid(given.text, keyType)
        : undefined;
    case 'timestamptz':
      return undefined;
  }
}

/** Bytes that were no UTF-8 were replaced when the statement was read. */
function isWhole(text: string): boolean {
  return !text.includes('\uFFFD');
}

function textOfBytes(bytes: Buffer, keyType: KeyType): string | undefined {
  const text = bytes.toString('utf8');
  return isWhole(text) ? canonicalKey(keyType, text) : undefined;
}

function timeOrUuid(text: string, keyType: 'date' | 'timestamp' | 'uuid'): string | undefined {
  // A day at midnight is that day; with another time it equals no day.
  const day = keyType === 'date' ? text.replace(/[ T]00:00:00(\.0{1,6})?$/, '') : text;
  return /^\s|\s$/.test(day) ? undefined : canonicalKey(keyType, day);
}

function integerOf(given: Given): string | undefined {
  if (given.kind === 'number') return canonicalKey('integer', given.text);
  if (given.kind === 'float') {
    const limit = given.isSingle ? MAX_EXACT_SINGLE : MAX_EXACT;
    return Number.isInteger(given.value) && Math.abs(given.value) < limit
      ? canonicalKey('integer', String(given.value))
      : undefined;
  }
  if (given.kind !== 'text') return undefined;
  // The server makes a plain constant the column's own type; others it compares as doubles.
  if (/^-?\d{1,20}$/.test(given.text)) return canonicalKey('integer', given.text);
  const canonical = canonicalKey('integer', given.text);
  return canonical !== undefined && Math.abs(Number(canonical)) < MAX_EXACT ? canonical : undefined;
}

/** Decimal columns that are keys have at most 15 digits, so a double equals one of their values only. */
function numericOf(given: Given): string | undefined {
  if (given.kind === 'number') return canonicalKey('numeric', given.text);
  if (given.kind === 'float') {
    if (given.isSingle && !(Number.isInteger(given.value) && Math.abs(given.value) < MAX_EXACT_SINGLE))
      return undefined;
    return fewDigits(canonicalKey('numeric', String(given.value)));
  }
  return given.kind === 'text' && !/nan/i.test(given.text)
    ? fewDigits(canonicalKey('numeric', given.text))
    : undefined;
}

function fewDigits(canonical: string | undefined): string | undefined {
  const digits = canonical?.replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '') ?? '';
  return digits.length <= EXACT_DIGITS ? canonical : undefined;
}

function parameterValues(
  source: KeySource & { type: 'parameter' },
  keyType: KeyType,
  parameters: ParameterValues,
): KeyValues {
  const bytes = parameters.bytes(source.index);
  if (source.array) return 'unknown';
  if (bytes === undefined) return [null];
  return one(givenOf(bytes, parameters.typeOid(source.index)), keyType);
}

/** Manual, "Binary Protocol Value". */
function givenOf(bytes: Buffer, typeCode: number): Given | undefined {
  const isUnsigned = (typeCode & UNSIGNED) !== 0;
  switch (typeCode & ~UNSIGNED) {
    case MYSQL_TYPE.tiny:
      return bytes.length === 1 ? number(isUnsigned ? bytes.readUInt8() : bytes.readInt8()) : undefined;
    case MYSQL_TYPE.short:
    case MYSQL_TYPE.year:
      return bytes.length === 2 ? number(isUnsigned ? bytes.readUInt16LE() : bytes.readInt16LE()) : undefined;
    case MYSQL_TYPE.long:
    case MYSQL_TYPE.int24:
      return bytes.length === 4 ? number(isUnsigned ? bytes.readUInt32LE() : bytes.readInt32LE()) : undefined;
    case MYSQL_TYPE.longlong:
      return bytes.length === 8
        ? number(isUnsigned ? bytes.readBigUInt64LE() : bytes.readBigInt64LE())
        : undefined;
    case MYSQL_TYPE.float:
      return bytes.length === 4 ? { kind: 'float', value: bytes.readFloatLE(), isSingle: true } : undefined;
    case MYSQL_TYPE.double:
      return bytes.length === 8 ? { kind: 'float', value: bytes.readDoubleLE(), isSingle: false } : undefined;
    case MYSQL_TYPE.decimal:
    case MYSQL_TYPE.newdecimal:
      return { kind: 'number', text: bytes.toString('latin1') };
    case MYSQL_TYPE.date:
    case MYSQL_TYPE.datetime:
    case MYSQL_TYPE.timestamp:
      return timeText(bytes);
    case MYSQL_TYPE.varchar:
    case MYSQL_TYPE.varString:
    case MYSQL_TYPE.string:
      return isUtf8(bytes) ? { kind: 'text', text: bytes.toString('utf8') } : { kind: 'bytes', bytes };
    case MYSQL_TYPE.tinyblob:
    case MYSQL_TYPE.mediumblob:
    case MYSQL_TYPE.longblob:
    case MYSQL_TYPE.blob:
      return isUtf8(bytes) ? { kind: 'text', text: bytes.toString('utf8') } : { kind: 'bytes', bytes };
    default:
      return undefined;
  }
}

function number(value: number | bigint): Given {
  return { kind: 'number', text: String(value) };
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);
}

/** Length, year: 2, month, day, hour, minute, second, microseconds: 4; cut off where the rest is zero. */
function timeText(bytes: Buffer): Given | undefined {
  const own = [5, 8, 12].includes(bytes.length) && bytes[0] === bytes.length - 1 ? bytes.subarray(1) : bytes;
  if (![4, 7, 11].includes(own.length)) return undefined;
  const two = (at: number) => String(own[at] ?? 0).padStart(2, '0');
  const day = `${String(own.readUInt16LE()).padStart(4, '0')}-${two(2)}-${two(3)}`;
  const micros = own.length === 11 ? own.readUInt32LE(7) : 0;
  if (micros > 999_999) return undefined;
  const text = `${day} ${two(4)}:${two(5)}:${two(6)}.${String(micros).padStart(6, '0')}`;
  return { kind: 'time', text };
}
