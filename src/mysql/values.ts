import { OperatingError, unsupported } from '../lib/errors.js';
import type { ResultColumn } from '../pool/backend.js';
import type { ComparableType, MergeValues, TypedValue } from '../proxy/merge-values.js';
import { MYSQL_TYPE, UNSIGNED } from '../routing/mysql-key.js';
import { renamedColumn } from './column-name.js';
import {
  addDecimals,
  averageDecimal,
  compareDecimals,
  type Decimal,
  decimalKey,
  formatDecimal,
  parseDecimal,
} from './values-decimal.js';
import { weighedText } from './values-weight.js';

/** Values of MySQL types, for merging. A type is its code in the protocol, with `UNSIGNED` added where the column is. */
export const mysqlValues: MergeValues = {
  mixesFormats: false,
  comparable: (typeOid) => COMPARABLE.get(typeOid) ?? COMPARABLE.get(typeOid & ~UNSIGNED),
  weighed: weighedText,
  enumOf,
  comparedWith,
  adder: (typeOid) => adderOf(typeOid),
  averager,
  cast: () => {
    throw unsupported('a cast of an aggregate over several shards', 'Cast it in the application.');
  },
  typeOfCast: () => {
    throw unsupported('a cast of an aggregate over several shards', 'Cast it in the application.');
  },
  sizeOf: (typeOid) => WIDTHS[typeOid & ~UNSIGNED] ?? -1,
  encode,
  renamed: renamedColumn,
};

function type<V>(
  decode: (bytes: Buffer, format: number) => V,
  compare: (a: V, b: V) => number,
  keyOf: (value: V) => string,
  isCollated = false,
): ComparableType {
  return { decode, compare, keyOf, isCollated } as ComparableType<V> as ComparableType;
}

function ordered<V extends bigint | number | string>(a: V, b: V): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Bytes of an integer in the binary protocol. */
const WIDTHS: Readonly<Record<number, number>> = {
  [MYSQL_TYPE.tiny]: 1,
  [MYSQL_TYPE.short]: 2,
  [MYSQL_TYPE.year]: 2,
  [MYSQL_TYPE.int24]: 4,
  [MYSQL_TYPE.long]: 4,
  [MYSQL_TYPE.longlong]: 8,
  [MYSQL_TYPE.float]: 4,
  [MYSQL_TYPE.double]: 8,
};

function integer(width: number, isUnsigned: boolean): ComparableType {
  const read = (bytes: Buffer): bigint => {
    if (width === 8) return isUnsigned ? bytes.readBigUInt64LE() : bytes.readBigInt64LE();
    return BigInt(isUnsigned ? bytes.readUIntLE(0, width) : bytes.readIntLE(0, width));
  };
  return type<bigint>(
    (bytes, format) => (format === 0 ? BigInt(bytes.toString('latin1')) : read(bytes)),
    ordered,
    String,
  );
}

function integers(): [number, ComparableType][] {
  const codes = [
    MYSQL_TYPE.tiny,
    MYSQL_TYPE.short,
    MYSQL_TYPE.int24,
    MYSQL_TYPE.long,
    MYSQL_TYPE.longlong,
  ] as const;
  return codes.flatMap((code): [number, ComparableType][] => [
    [code, integer(WIDTHS[code]!, false)],
    [code | UNSIGNED, integer(WIDTHS[code]!, true)],
  ]);
}

function floatKey(value: number): string {
  return String(value === 0 ? 0 : value);
}

/** A FLOAT is sent as text with six digits only, which do not tell its values apart. */
function singleFloat(bytes: Buffer, format: number): number {
  if (format === 1) return bytes.readFloatLE();
  throw unsupported('FLOAT values of several shards as text', 'CAST(column AS DOUBLE).');
}

const TEXT = type<Buffer>(
  (bytes) => bytes,
  Buffer.compare,
  (bytes) => bytes.toString('latin1'),
  true,
);

/** As `YYYY-MM-DD HH:MM:SS.ffffff`, whose texts are ordered as the times are; zero dates come first. */
function readDatetime(bytes: Buffer, format: number): string {
  if (format === 0) {
    const [whole = '', fraction = ''] = bytes.toString('latin1').split('.');
    return `${whole.length === 10 ? `${whole} 00:00:00` : whole}.${fraction.padEnd(6, '0')}`;
  }
  const own = withoutLength(bytes, [0, 4, 7, 11]);
  const two = (at: number) => String(own[at] ?? 0).padStart(2, '0');
  const year = own.length === 0 ? 0 : own.readUInt16LE();
  const micros = own.length === 11 ? own.readUInt32LE(7) : 0;
  return `${String(year).padStart(4, '0')}-${two(2)}-${two(3)} ${two(4)}:${two(5)}:${two(6)}.${String(micros).padStart(6, '0')}`;
}

/** Microseconds, negative too (manual, "The TIME Type": up to 838 hours). */
function readTime(bytes: Buffer, format: number): bigint {
  if (format === 0) {
    const match = /^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$/.exec(bytes.toString('latin1'));
    if (match === null) throw new OperatingError('internal', 'a TIME value that cannot be read');
    const seconds = BigInt(match[2]!) * 3_600n + BigInt(match[3]!) * 60n + BigInt(match[4]!);
    const micros = seconds * 1_000_000n + BigInt((match[5] ?? '').padEnd(6, '0'));
    return match[1] === '-' ? -micros : micros;
  }
  const own = withoutLength(bytes, [0, 8, 12]);
  if (own.length === 0) return 0n;
  const seconds = BigInt(own.readUInt32LE(1) * 86_400 + own[5]! * 3_600 + own[6]! * 60 + own[7]!);
  const micros = seconds * 1_000_000n + BigInt(own.length === 12 ? own.readUInt32LE(8) : 0);
  return own[0] === 1 ? -micros : micros;
}

/** Times begin with their length in the binary protocol; it may have been taken off already. */
function withoutLength(bytes: Buffer, lengths: readonly number[]): Buffer {
  if (lengths.includes(bytes.length - 1) && bytes[0] === bytes.length - 1) return bytes.subarray(1);
  if (lengths.includes(bytes.length)) return bytes;
  throw new OperatingError('internal', `a time of ${bytes.length} bytes`);
}

const DATETIME = type<string>(readDatetime, ordered, String);

const COMPARABLE: ReadonlyMap<number, ComparableType> = new Map([
  ...integers(),
  [
    MYSQL_TYPE.year,
    type<bigint>(
      (bytes, format) => BigInt(format === 0 ? bytes.toString('latin1') : bytes.readUInt16LE()),
      ordered,
      String,
    ),
  ],
  [MYSQL_TYPE.float, type<number>(singleFloat, ordered, floatKey)],
  [
    MYSQL_TYPE.double,
    type<number>(
      (bytes, format) => (format === 0 ? Number(bytes.toString('latin1')) : bytes.readDoubleLE()),
      ordered,
      floatKey,
    ),
  ],
  ...[MYSQL_TYPE.decimal, MYSQL_TYPE.newdecimal].map((code): [number, ComparableType] => [
    code,
    // Text in both protocols.
    type<Decimal>((bytes) => parseDecimal(bytes.toString('latin1')), compareDecimals, decimalKey),
  ]),
  ...[MYSQL_TYPE.date, MYSQL_TYPE.datetime, MYSQL_TYPE.timestamp].map((code): [number, ComparableType] => [
    code,
    DATETIME,
  ]),
  [MYSQL_TYPE.time, type<bigint>(readTime, ordered, String)],
  // Bits of one column are of one length.
  [
    MYSQL_TYPE.bit,
    type<Buffer>(
      (bytes) => bytes,
      Buffer.compare,
      (bytes) => bytes.toString('latin1'),
    ),
  ],
  ...[
    MYSQL_TYPE.varchar,
    MYSQL_TYPE.varString,
    MYSQL_TYPE.string,
    MYSQL_TYPE.tinyblob,
    MYSQL_TYPE.mediumblob,
    MYSQL_TYPE.longblob,
    MYSQL_TYPE.blob,
  ].map((code): [number, ComparableType] => [code, TEXT]),
]);

function enumOf(labels: readonly string[]): ComparableType {
  const order = new Map(labels.map((label, index) => [label, index]));
  return type<number>((bytes) => order.get(bytes.toString('utf8')) ?? labels.length, ordered, String);
}

function comparedWith(typeOid: number, constant: string): ReturnType<MergeValues['comparedWith']> {
  const code = typeOid & ~UNSIGNED;
  if (code === MYSQL_TYPE.double) return (value) => ordered(value as number, Number(constant));
  const other = parseDecimal(constant);
  if (code === MYSQL_TYPE.newdecimal) return (value) => compareDecimals(value as Decimal, other);
  if (!INTEGERS.has(code)) return undefined;
  return (value) => compareDecimals({ digits: value as bigint, scale: 0 }, other);
}

const INTEGERS = new Set<number>([
  MYSQL_TYPE.tiny,
  MYSQL_TYPE.short,
  MYSQL_TYPE.int24,
  MYSQL_TYPE.long,
  MYSQL_TYPE.longlong,
]);

type Add = (a: unknown, b: unknown) => unknown;

/** SUM gives a decimal or a double, COUNT a bigint. */
function adderOf(typeOid: number): Add | undefined {
  const code = typeOid & ~UNSIGNED;
  if (code === MYSQL_TYPE.longlong) return ((a: bigint, b: bigint) => inRange(a + b, typeOid)) as Add;
  if (code === MYSQL_TYPE.newdecimal || code === MYSQL_TYPE.decimal) return addDecimals as Add;
  return code === MYSQL_TYPE.double ? (((a: number, b: number) => a + b) as Add) : undefined;
}

function inRange(value: bigint, typeOid: number): bigint {
  const isUnsigned = (typeOid & UNSIGNED) !== 0;
  const [low, high] = isUnsigned ? [0n, 2n ** 64n] : [-(2n ** 63n), 2n ** 63n];
  if (value >= low && value < high) return value;
  throw new OperatingError('invalid-parameter', 'BIGINT value is out of range', { sqlstate: '22003' });
}

function averager(sumTypeOid: number): ReturnType<MergeValues['averager']> {
  const code = sumTypeOid & ~UNSIGNED;
  if (code === MYSQL_TYPE.double)
    return { typeOid: code, average: (sum, count) => (sum as number) / Number(count) };
  if (code === MYSQL_TYPE.newdecimal)
    return {
      typeOid: code,
      average: (sum, count, like) => averageDecimal(sum as Decimal, count, like?.columnNumber),
    };
  return undefined;
}

/** As it stands in a row, without the length that strings have before them. */
function encode({ typeOid, value }: TypedValue, format: number, like?: ResultColumn): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'object') return Buffer.from(formatDecimal(value as Decimal), 'latin1');
  if (format === 0)
    return Buffer.from(typeof value === 'number' ? shownDouble(value, like) : String(value), 'latin1');
  const code = typeOid & ~UNSIGNED;
  const bytes = Buffer.alloc(WIDTHS[code] ?? 0);
  if (code === MYSQL_TYPE.double) bytes.writeDoubleLE(value as number);
  else if (code === MYSQL_TYPE.longlong) {
    if ((typeOid & UNSIGNED) === 0) bytes.writeBigInt64LE(value as bigint);
    else bytes.writeBigUInt64LE(value as bigint);
  } else throw unsupported(`a merged value of type ${code} in the binary protocol`);
  return bytes;
}

/** From here on the digits behind a double's point are as many as it takes (NOT_FIXED_DEC). */
const ANY_DECIMALS = 31;

/** A sum of DOUBLE(10, 2) has two digits behind the point. */
function shownDouble(value: number, like: ResultColumn | undefined): string {
  const decimals = like?.columnNumber ?? ANY_DECIMALS;
  return decimals < ANY_DECIMALS ? value.toFixed(decimals) : doubleText(value);
}

/** As the server writes doubles: the shortest digits, with an exponent where the point would stand too far away (my_gcvt, DBL_DIG). */
function doubleText(value: number): string {
  if (value === 0) return '0';
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  const digits = mantissa.replace('-', '').replace('.', '');
  const hasFraction = digits.length > exponent + 1;
  if (exponent < -15 || (exponent > 14 && !hasFraction)) return `${mantissa}e${exponent}`;
  if (exponent >= 0) return String(value);
  return `${value < 0 ? '-' : ''}0.${'0'.repeat(-exponent - 1)}${digits}`;
}
