import { OperatingError, unsupported } from '../lib/errors.js';
import type { ComparableType, MergeValues, TypedValue } from '../proxy/merge-values.js';
import { numericText, TYPE } from '../routing/binary-key.js';
import type { MergeCast } from '../routing/plan.js';
import { parseTime, readTime } from './date-text.js';
import {
  addDecimals,
  compareDecimals,
  type Decimal,
  divideDecimal,
  encodeDecimal,
  formatDecimal,
  parseDecimal,
  roundToInteger,
} from './decimal.js';
import { formatFloat, parseFloatText } from './float-text.js';

const BOOL = 16;
const NAME = 19;
const TIME = 1083;

/** Values of Postgres types, for merging. */
export const postgresValues: MergeValues = {
  mixesFormats: true,
  comparable: (typeOid) => COMPARABLE.get(typeOid),
  weighed: undefined,
  enumOf,
  comparedWith,
  adder: (typeOid) => ADDERS.get(typeOid),
  averager,
  cast,
  typeOfCast: (to) => ({ typeOid: CAST_OIDS[to], typeSize: sizeOf(CAST_OIDS[to]) }),
  sizeOf,
  encode,
  renamed: (column, name) => ({ ...column, name }),
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

function integer(read: (bytes: Buffer) => bigint): ComparableType {
  return type<bigint>(
    (bytes, format) => (format === 0 ? BigInt(bytes.toString('latin1')) : read(bytes)),
    ordered,
    String,
  );
}

function float(read: (bytes: Buffer) => number): ComparableType {
  return type<number>(
    (bytes, format) => (format === 0 ? parseFloatText(bytes.toString('latin1')) : read(bytes)),
    compareFloats,
    (value) => String(value === 0 ? 0 : value),
  );
}

/** NaN equals itself and is greater than everything (manual section 8.1.3). */
function compareFloats(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return ordered(a, b);
}

function time(unit: 'days' | 'microseconds'): ComparableType {
  return type<bigint>(
    (bytes, format) => (format === 0 ? parseTime(bytes.toString('latin1'), unit) : readTime(bytes)),
    ordered,
    String,
  );
}

const TEXT = type<Buffer>(
  (bytes) => bytes,
  Buffer.compare,
  (bytes) => bytes.toString('latin1'),
  true,
);
const PADDED = type<Buffer>(withoutTrailingBlanks, Buffer.compare, (bytes) => bytes.toString('latin1'), true);

function withoutTrailingBlanks(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 32) end--;
  return bytes.subarray(0, end);
}

function readBytea(bytes: Buffer, format: number): Buffer {
  if (format === 1) return bytes;
  if (bytes[0] === 92 && bytes[1] === 120) return Buffer.from(bytes.toString('latin1', 2), 'hex');
  throw unsupported('bytea values of several shards with bytea_output = escape', 'SET bytea_output = hex.');
}

const COMPARABLE: ReadonlyMap<number, ComparableType> = new Map([
  [
    BOOL,
    type<boolean>(
      (bytes, format) => (format === 0 ? bytes[0] === 116 : bytes[0] === 1),
      (a, b) => Number(a) - Number(b),
      String,
    ),
  ],
  [TYPE.int2, integer((bytes) => BigInt(bytes.readInt16BE()))],
  [TYPE.int4, integer((bytes) => BigInt(bytes.readInt32BE()))],
  [TYPE.int8, integer((bytes) => bytes.readBigInt64BE())],
  [TYPE.oid, integer((bytes) => BigInt(bytes.readUInt32BE()))],
  [TYPE.float4, float((bytes) => bytes.readFloatBE())],
  [TYPE.float8, float((bytes) => bytes.readDoubleBE())],
  [
    TYPE.numeric,
    type<Decimal>(
      (bytes, format) =>
        parseDecimal(format === 0 ? bytes.toString('latin1') : (numericText(bytes) ?? 'NaN')),
      compareDecimals,
      decimalKey,
    ),
  ],
  [TYPE.text, TEXT],
  [TYPE.varchar, TEXT],
  [TYPE.bpchar, PADDED],
  // Names always compare as bytes (collation C).
  [NAME, { ...TEXT, isCollated: false }],
  [
    TYPE.uuid,
    type<string>(
      (bytes, format) =>
        format === 0 ? bytes.toString('latin1').replaceAll('-', '') : bytes.toString('hex'),
      ordered,
      String,
    ),
  ],
  [TYPE.bytea, type<Buffer>(readBytea, Buffer.compare, (bytes) => bytes.toString('latin1'))],
  [TYPE.date, time('days')],
  [TYPE.timestamp, time('microseconds')],
  [TYPE.timestamptz, time('microseconds')],
  [
    TIME,
    type<bigint>(
      (bytes, format) => (format === 0 ? timeOfDay(bytes.toString('latin1')) : bytes.readBigInt64BE()),
      ordered,
      String,
    ),
  ],
]);

function timeOfDay(text: string): bigint {
  const [clock = '', fraction = ''] = text.split('.');
  const [hours = 0, minutes = 0, seconds = 0] = clock.split(':').map(Number);
  return BigInt(hours * 3_600 + minutes * 60 + seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
}

/** Without needless zeros: 1.0 and 1.00 are equal. */
function decimalKey(value: Decimal): string {
  if (typeof value === 'string' || value.scale === 0) return formatDecimal(value);
  return formatDecimal(value)
    .replace(/\.?0+$/, '')
    .replace(/^-0$/, '0');
}

function enumOf(labels: readonly string[]): ComparableType {
  const order = new Map(labels.map((label, index) => [label, index]));
  return type<number>((bytes) => order.get(bytes.toString('utf8')) ?? labels.length, ordered, String);
}

function outOfRange(name: string): OperatingError {
  return new OperatingError('invalid-parameter', `${name} out of range`, { sqlstate: '22003' });
}

const RANGES: Readonly<Record<number, readonly [bits: bigint, name: string]>> = {
  [TYPE.int2]: [15n, 'smallint'],
  [TYPE.int4]: [31n, 'integer'],
  [TYPE.int8]: [63n, 'bigint'],
};

function inRange(value: bigint, typeOid: number): bigint {
  const [bits, name] = RANGES[typeOid]!;
  if (value >= 2n ** bits || value < -(2n ** bits)) throw outOfRange(name);
  return value;
}

const ADDERS: ReadonlyMap<number, (a: unknown, b: unknown) => unknown> = new Map<
  number,
  (a: never, b: never) => unknown
>([
  [TYPE.int2, (a: bigint, b: bigint) => inRange(a + b, TYPE.int2)],
  [TYPE.int4, (a: bigint, b: bigint) => inRange(a + b, TYPE.int4)],
  [TYPE.int8, (a: bigint, b: bigint) => inRange(a + b, TYPE.int8)],
  [TYPE.numeric, (a: Decimal, b: Decimal) => addDecimals(a, b)],
  [TYPE.float4, (a: number, b: number) => Math.fround(a + b)],
  [TYPE.float8, (a: number, b: number) => a + b],
]) as ReadonlyMap<number, unknown> as ReadonlyMap<number, (a: unknown, b: unknown) => unknown>;

/** real is left out: a constant beside it is a double, which has other digits. */
function comparedWith(typeOid: number, constant: string): ReturnType<MergeValues['comparedWith']> {
  if (typeOid === TYPE.float8) {
    const double = COMPARABLE.get(TYPE.float8)!;
    return (value) => double.compare(value, parseFloatText(constant));
  }
  const other = parseDecimal(constant);
  if (typeOid === TYPE.numeric) return (value) => compareDecimals(value as Decimal, other);
  if (![TYPE.int2, TYPE.int4, TYPE.int8].some((whole) => whole === typeOid)) return undefined;
  return (value) => compareDecimals({ digits: value as bigint, scale: 0 }, other);
}

/** avg(int) and avg(numeric) are numeric; avg(real) cannot be made of real sums, which are already rounded. */
function averager(sumTypeOid: number): ReturnType<MergeValues['averager']> {
  if (sumTypeOid === TYPE.float8)
    return { typeOid: TYPE.float8, average: (sum, count) => (sum as number) / Number(count) };
  if (sumTypeOid === TYPE.numeric)
    return { typeOid: TYPE.numeric, average: (sum, count) => divideDecimal(sum as Decimal, count) };
  if (sumTypeOid === TYPE.int8)
    return {
      typeOid: TYPE.numeric,
      average: (sum, count) => divideDecimal({ digits: sum as bigint, scale: 0 }, count),
    };
  return undefined;
}

const CAST_OIDS: Readonly<Record<MergeCast, number>> = {
  int2: TYPE.int2,
  int4: TYPE.int4,
  int8: TYPE.int8,
  numeric: TYPE.numeric,
  float8: TYPE.float8,
  text: TYPE.text,
};

function cast({ typeOid, value }: TypedValue, to: MergeCast): TypedValue {
  const target = CAST_OIDS[to];
  if (target === typeOid) return { typeOid, value };
  if (to === 'text') return { typeOid: target, value: encode({ typeOid, value }, 0) };
  if (to === 'float8') return { typeOid: target, value: toFloat(value) };
  if (to === 'numeric') return { typeOid: target, value: toDecimal(value) };
  return { typeOid: target, value: inRange(toInteger(value, RANGES[target]![1]), target) };
}

function toFloat(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'bigint' ? Number(value) : parseFloatText(formatDecimal(value as Decimal));
}

function toDecimal(value: unknown): Decimal {
  if (typeof value === 'bigint') return { digits: value, scale: 0 };
  if (typeof value !== 'number') return value as Decimal;
  // float8_numeric keeps 15 significant digits (DBL_DIG).
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
  const [mantissa = '0', exponent = '0'] = value.toPrecision(15).split('e');
  const plain = parseDecimal(mantissa.replace('+', ''));
  if (typeof plain === 'string') return plain;
  const scale = plain.scale - Number(exponent);
  let { digits } = plain;
  let kept = scale;
  while (kept > 0 && digits % 10n === 0n) {
    digits /= 10n;
    kept--;
  }
  return kept >= 0 ? { digits, scale: kept } : { digits: digits * 10n ** BigInt(-kept), scale: 0 };
}

function toInteger(value: unknown, name: string): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value !== 'number') {
    const decimal = value as Decimal;
    if (typeof decimal === 'string') throw outOfRange(name);
    return roundToInteger(decimal);
  }
  if (!Number.isFinite(value)) throw outOfRange(name);
  // rint(): half to even.
  const floor = Math.floor(value);
  const rest = value - floor;
  return BigInt(rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1);
}

const SIZES: Readonly<Record<number, number>> = {
  [BOOL]: 1,
  [TYPE.int2]: 2,
  [TYPE.int4]: 4,
  [TYPE.int8]: 8,
  [TYPE.float4]: 4,
  [TYPE.float8]: 8,
};

function sizeOf(typeOid: number): number {
  return SIZES[typeOid] ?? -1;
}

function encode({ typeOid, value }: TypedValue, format: number): Buffer {
  return format === 0 ? encodeText(typeOid, value) : encodeBinary(typeOid, value);
}

function encodeText(typeOid: number, value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'number') return Buffer.from(formatFloat(value, typeOid === TYPE.float4), 'latin1');
  return Buffer.from(
    typeof value === 'bigint' ? value.toString() : formatDecimal(value as Decimal),
    'latin1',
  );
}

function encodeBinary(typeOid: number, value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  const bytes = Buffer.alloc(Math.max(0, sizeOf(typeOid)));
  switch (typeOid) {
    case TYPE.int2:
      bytes.writeInt16BE(Number(value));
      return bytes;
    case TYPE.int4:
      bytes.writeInt32BE(Number(value));
      return bytes;
    case TYPE.int8:
      bytes.writeBigInt64BE(value as bigint);
      return bytes;
    case TYPE.float4:
      bytes.writeFloatBE(value as number);
      return bytes;
    case TYPE.float8:
      bytes.writeDoubleBE(value as number);
      return bytes;
    case TYPE.numeric:
      return encodeDecimal(value as Decimal);
    default:
      throw unsupported(`a merged value of type ${typeOid} in the binary format`);
  }
}
