import { asDouble, hexLiteral, type Literal } from './column-values.js';
import type { TableColumn } from './engine-tables.js';

/**
 * Values in row events, from their bytes (MariaDB manual, Rows_event; MySQL internals, Row Based Replication: "Binary
 * formats"). Integers, floats and dates are little endian; decimals and the newer times big endian.
 */

/** What the table map says about one column: the log's type code and its facts about the type. */
export interface LogColumn {
  readonly type: number;
  readonly metadata: {
    readonly size?: number;
    readonly precision?: number;
    readonly decimals?: number;
    readonly bits?: number;
    readonly max_length?: number;
    readonly length_size?: number;
  };
}

const LOG_TYPES = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  longlong: 8,
  int24: 9,
  date: 10,
  year: 13,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  blobCompressed: 140,
  varcharCompressed: 141,
  newdecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  string: 254,
  geometry: 255,
} as const;

const INTEGER_BYTES: ReadonlyMap<number, number> = new Map([
  [LOG_TYPES.tiny, 1],
  [LOG_TYPES.short, 2],
  [LOG_TYPES.int24, 3],
  [LOG_TYPES.long, 4],
  [LOG_TYPES.longlong, 8],
]);

const LENGTH_PREFIXED: readonly number[] = [
  LOG_TYPES.tinyBlob,
  LOG_TYPES.mediumBlob,
  LOG_TYPES.longBlob,
  LOG_TYPES.blob,
  LOG_TYPES.geometry,
];

/**
 * How many bytes a value has in a row image; `varying` when its own length stands before it; undefined for types that we do
 * not know.
 */
export function imageSize({ type, metadata }: LogColumn): number | 'varying' | undefined {
  const integer = INTEGER_BYTES.get(type);
  if (integer !== undefined) return integer;
  if (LENGTH_PREFIXED.includes(type)) return 'varying';
  switch (type) {
    case LOG_TYPES.float:
      return 4;
    case LOG_TYPES.double:
      return 8;
    case LOG_TYPES.date:
      return 3;
    case LOG_TYPES.year:
      return 1;
    case LOG_TYPES.bit:
      return Math.ceil(metadata.bits! / 8);
    case LOG_TYPES.timestamp2:
      return 4 + fractionBytes(metadata.decimals!);
    case LOG_TYPES.datetime2:
      return 5 + fractionBytes(metadata.decimals!);
    case LOG_TYPES.time2:
      return 3 + fractionBytes(metadata.decimals!);
    case LOG_TYPES.newdecimal:
      return decimalBytes(metadata.precision! - metadata.decimals!) + decimalBytes(metadata.decimals!);
    case LOG_TYPES.enum:
    case LOG_TYPES.set:
      return metadata.size;
    case LOG_TYPES.varchar:
    case LOG_TYPES.string:
    case LOG_TYPES.varcharCompressed:
    case LOG_TYPES.blobCompressed:
      return 'varying';
    default:
      return undefined;
  }
}

export type ValueReader = (bytes: Buffer) => Literal;

/** Makes the literal of a column's value out of its bytes in a row image. */
export function valueReader({ type, metadata }: LogColumn, column: TableColumn): ValueReader {
  const integer = INTEGER_BYTES.get(type);
  if (integer !== undefined) {
    const isUnsigned = /\bunsigned\b/i.test(column.type);
    return (bytes) => readInteger(bytes, isUnsigned);
  }
  const decimals = metadata.decimals ?? 0;
  switch (type) {
    case LOG_TYPES.enum:
    case LOG_TYPES.set:
      return (bytes) => readInteger(bytes, true);
    case LOG_TYPES.bit:
      return (bytes) => String(BigInt(`0x${bytes.toString('hex')}`));
    case LOG_TYPES.float:
      return (bytes) => floatLiteral(bytes.readFloatLE(0));
    case LOG_TYPES.double:
      return (bytes) => floatLiteral(bytes.readDoubleLE(0));
    case LOG_TYPES.date:
      return (bytes) => `'${dateText(bytes.readUIntLE(0, 3))}'`;
    case LOG_TYPES.year:
      return (bytes) => (bytes[0] === 0 ? '0' : String(1900 + bytes[0]!));
    case LOG_TYPES.timestamp2:
      return (bytes) => `'${timestampText(bytes, decimals)}'`;
    case LOG_TYPES.datetime2:
      return (bytes) => `'${datetimeText(bytes, decimals)}'`;
    case LOG_TYPES.time2:
      return (bytes) => `'${timeText(bytes, decimals)}'`;
    case LOG_TYPES.newdecimal:
      return (bytes) => decimalText(bytes, metadata.precision!, decimals);
    default:
      return bytesReader(column);
  }
}

/** Fixed lengths, whose zeros at the end the log leaves out; types of MariaDB with a text of their own are compared as that text. */
function bytesReader(column: TableColumn): ValueReader {
  const filled = (bytes: Buffer, length: number): Buffer =>
    bytes.length < length ? Buffer.concat([bytes], length) : bytes;
  switch (column.dataType) {
    case 'binary': {
      const length = Number(/\((\d+)\)/.exec(column.type)?.[1] ?? 1);
      return (bytes) => hexLiteral(filled(bytes, length));
    }
    case 'uuid':
      return (bytes) => `'${filled(bytes, 16).toString('hex')}'`;
    case 'inet6':
      return (bytes) =>
        `'${filled(bytes, 16)
          .toString('hex')
          .replace(/(....)(?=.)/g, '$1:')}'`;
    case 'inet4':
      return (bytes) => `'${filled(bytes, 4).join('.')}'`;
    default:
      return hexLiteral;
  }
}

function readInteger(bytes: Buffer, isUnsigned: boolean): string {
  if (bytes.length === 8) return String(isUnsigned ? bytes.readBigUInt64LE(0) : bytes.readBigInt64LE(0));
  if (bytes.length > 6) return String(BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`));
  return String(isUnsigned ? bytes.readUIntLE(0, bytes.length) : bytes.readIntLE(0, bytes.length));
}

/** The shortest digits that make the same double again. */
function floatLiteral(value: number): Literal {
  return Object.is(value, -0) ? '-0e0' : asDouble(String(value));
}

function fractionBytes(decimals: number): number {
  return Math.ceil(decimals / 2);
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** `.123` from the big endian number behind the seconds, which always holds an even number of digits. */
function fractionText(value: number, decimals: number): string {
  if (decimals === 0) return '';
  return `.${String(value)
    .padStart(fractionBytes(decimals) * 2, '0')
    .slice(0, decimals)}`;
}

function fractionOf(bytes: Buffer, at: number, decimals: number): string {
  return decimals === 0 ? '' : fractionText(bytes.readUIntBE(at, fractionBytes(decimals)), decimals);
}

function dateText(packed: number): string {
  return `${String(packed >> 9).padStart(4, '0')}-${two((packed >> 5) & 15)}-${two(packed & 31)}`;
}

function timestampText(bytes: Buffer, decimals: number): string {
  const seconds = bytes.readUInt32BE(0);
  const fraction = fractionOf(bytes, 4, decimals);
  // The zero timestamp is no moment.
  if (seconds === 0 && !/[1-9]/.test(fraction)) return `0000-00-00 00:00:00${fraction}`;
  const text = new Date(seconds * 1000).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 19)}${fraction}`;
}

function datetimeText(bytes: Buffer, decimals: number): string {
  const packed = bytes.readUIntBE(0, 5) - 0x80_0000_0000;
  const time = packed % 2 ** 17;
  const date = Math.floor(packed / 2 ** 17);
  const months = date >> 5;
  const day = `${String(Math.floor(months / 13)).padStart(4, '0')}-${two(months % 13)}-${two(date & 31)}`;
  return `${day} ${two(time >> 12)}:${two((time >> 6) & 63)}:${two(time & 63)}${fractionOf(bytes, 5, decimals)}`;
}

/** Seconds and fraction are one number, negative for times below zero. */
function timeText(bytes: Buffer, decimals: number): string {
  const fraction = fractionBytes(decimals);
  const scale = 2 ** (8 * fraction);
  const packed = bytes.readUIntBE(0, 3 + fraction) - 0x80_0000 * scale;
  const size = Math.abs(packed);
  const seconds = Math.floor(size / scale);
  const hours = (seconds >> 12) & 1023;
  const text = `${two(hours)}:${two((seconds >> 6) & 63)}:${two(seconds & 63)}`;
  return `${packed < 0 ? '-' : ''}${text}${fractionText(size % scale, decimals)}`;
}

const DIGITS_PER_GROUP = 9;
/** Bytes of a group that is not full, by its digits. */
const GROUP_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

function decimalBytes(digits: number): number {
  return Math.floor(digits / DIGITS_PER_GROUP) * 4 + GROUP_BYTES[digits % DIGITS_PER_GROUP]!;
}

/** Groups of nine digits in four bytes; the group that is not full stands first before the point and last behind it. Negative numbers have all bits turned; the first bit is turned in any case. */
function decimalText(stored: Buffer, precision: number, scale: number): string {
  const bytes = Buffer.from(stored);
  const isNegative = (bytes[0]! & 0x80) === 0;
  if (isNegative) for (let at = 0; at < bytes.length; at++) bytes[at]! ^= 0xff;
  bytes[0]! ^= 0x80;
  let at = 0;
  const group = (digits: number): string => {
    const length = GROUP_BYTES[digits]!;
    if (length === 0) return '';
    const text = String(bytes.readUIntBE(at, length)).padStart(digits, '0');
    at += length;
    return text;
  };
  const whole = precision - scale;
  let text = group(whole % DIGITS_PER_GROUP);
  for (let left = Math.floor(whole / DIGITS_PER_GROUP); left > 0; left--) text += group(DIGITS_PER_GROUP);
  let fraction = '';
  for (let left = Math.floor(scale / DIGITS_PER_GROUP); left > 0; left--) fraction += group(DIGITS_PER_GROUP);
  fraction += group(scale % DIGITS_PER_GROUP);
  return `${isNegative ? '-' : ''}${text.replace(/^0+(?=\d)/, '') || '0'}${fraction === '' ? '' : `.${fraction}`}`;
}

/** The text of a shard key's value for `canonicalKey`, out of its literal. */
export function keyText(literal: Literal, column: TableColumn): string | null {
  if (literal === 'NULL') return null;
  if (literal.startsWith("'")) return literal.slice(1, -1) + (column.dataType === 'timestamp' ? '+00' : '');
  if (!literal.startsWith("X'")) return literal;
  const hex = literal.slice(2, -1);
  if (column.characterSet === null) return `\\x${hex}`;
  return new TextDecoder(ENCODINGS[column.characterSet] ?? 'utf-8', { fatal: true }).decode(
    Buffer.from(hex, 'hex'),
  );
}

/** Whether `keyText` can read this column's texts. */
export function hasReadableTexts({ characterSet }: TableColumn): boolean {
  return characterSet === null || ENCODINGS[characterSet] !== undefined;
}

/** MySQL's latin1 is Windows' (manual section 10.10.2), as the name is on the web. Others than these are read as UTF-8, which fails loudly. */
const ENCODINGS: Readonly<Record<string, string>> = {
  utf8mb4: 'utf-8',
  utf8mb3: 'utf-8',
  utf8: 'utf-8',
  ascii: 'ascii',
  latin1: 'latin1',
  utf16le: 'utf-16le',
  utf16: 'utf-16be',
  ucs2: 'utf-16be',
};
