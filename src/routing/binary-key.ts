import type { KeyType } from '../topology/keyspace.js';

/** Object ids of the types that key values are sent as (pg_type.dat). */
export const TYPE = {
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  float4: 700,
  float8: 701,
  unknown: 705,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
  uuid: 2950,
} as const;

/** Key types by the oid of the column's type. */
const KEY_TYPES: Readonly<Record<number, KeyType>> = {
  [TYPE.int8]: 'integer',
  [TYPE.int2]: 'integer',
  [TYPE.int4]: 'integer',
  [TYPE.text]: 'text',
  [TYPE.varchar]: 'text',
  [TYPE.bpchar]: 'bpchar',
  [TYPE.uuid]: 'uuid',
  [TYPE.numeric]: 'numeric',
  [TYPE.date]: 'date',
  [TYPE.timestamp]: 'timestamp',
  [TYPE.timestamptz]: 'timestamptz',
  [TYPE.bytea]: 'bytes',
};

export function keyTypeOf(typeOid: number): KeyType | undefined {
  return KEY_TYPES[typeOid];
}

export interface KeyText {
  readonly text: string;
  readonly typeOid: number;
}

const ASSUMED: Partial<Record<KeyType, number>> = {
  text: TYPE.text,
  bpchar: TYPE.bpchar,
  uuid: TYPE.uuid,
  numeric: TYPE.numeric,
  date: TYPE.date,
  timestamp: TYPE.timestamp,
  timestamptz: TYPE.timestamptz,
};

/** What an undeclared binary parameter is: the server takes it as the column's own type. An integer's width shows its type. */
function assumedType(bytes: Buffer, keyType: KeyType): number {
  switch (keyType) {
    case 'integer':
      return bytes.length === 2 ? TYPE.int2 : bytes.length === 4 ? TYPE.int4 : TYPE.int8;
    case 'bytes':
      return TYPE.bytea;
    default:
      return ASSUMED[keyType] ?? 0;
  }
}

/** A binary value (the types' send functions) as text that `canonicalKey` reads; undefined for bytes that do not fit the type. */
export function binaryText(bytes: Buffer, declaredOid: number, keyType: KeyType): KeyText | undefined {
  const typeOid =
    declaredOid === 0 || declaredOid === TYPE.unknown ? assumedType(bytes, keyType) : declaredOid;
  const text = textOf(bytes, typeOid);
  return text === undefined ? undefined : { text, typeOid };
}

function textOf(bytes: Buffer, typeOid: number): string | undefined {
  switch (typeOid) {
    case TYPE.int2:
      return bytes.length === 2 ? String(bytes.readInt16BE()) : undefined;
    case TYPE.int4:
      return bytes.length === 4 ? String(bytes.readInt32BE()) : undefined;
    case TYPE.oid:
      return bytes.length === 4 ? String(bytes.readUInt32BE()) : undefined;
    case TYPE.int8:
      return bytes.length === 8 ? String(bytes.readBigInt64BE()) : undefined;
    case TYPE.float4:
      return bytes.length === 4 ? String(bytes.readFloatBE()) : undefined;
    case TYPE.float8:
      return bytes.length === 8 ? String(bytes.readDoubleBE()) : undefined;
    case TYPE.text:
    case TYPE.varchar:
    case TYPE.bpchar:
      return bytes.toString('utf8');
    case TYPE.bytea:
      return `\\x${bytes.toString('hex')}`;
    case TYPE.uuid:
      return bytes.length === 16 ? bytes.toString('hex') : undefined;
    case TYPE.date:
      return bytes.length === 4 ? isoDate(bytes.readInt32BE()) : undefined;
    case TYPE.timestamp:
      return bytes.length === 8 ? isoTimestamp(bytes.readBigInt64BE(), '') : undefined;
    case TYPE.timestamptz:
      return bytes.length === 8 ? isoTimestamp(bytes.readBigInt64BE(), 'Z') : undefined;
    case TYPE.numeric:
      return numericText(bytes);
    default:
      return undefined;
  }
}

const EPOCH_MS = Date.UTC(2000, 0, 1);

/** Years 1 to 9999 only, like `canonicalKey`. */
function isoDate(days: number): string | undefined {
  const date = new Date(EPOCH_MS + days * 86_400_000);
  return Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1 || date.getUTCFullYear() > 9_999
    ? undefined
    : date.toISOString().slice(0, 10);
}

function isoTimestamp(microseconds: bigint, zone: string): string | undefined {
  const rest = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const date = new Date(EPOCH_MS + Number((microseconds - rest) / 1_000n));
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1 || date.getUTCFullYear() > 9_999)
    return undefined;
  return `${date.toISOString().slice(0, 19)}.${String(rest).padStart(6, '0')}${zone}`;
}

/** numeric_send: count, weight, sign and scale, then digits to the base of 10000. */
export function numericText(bytes: Buffer): string | undefined {
  if (bytes.length < 8) return undefined;
  const [count, weight, sign, scale] = [
    bytes.readUInt16BE(0),
    bytes.readInt16BE(2),
    bytes.readUInt16BE(4),
    bytes.readUInt16BE(6),
  ];
  if (sign === 0xc000) return 'NaN';
  if (sign === 0xd000) return 'Infinity';
  if (sign === 0xf000) return '-Infinity';
  if (bytes.length !== 8 + count * 2 || Math.abs(weight) > 40_000) return undefined;
  const digit = (index: number) =>
    index >= 0 && index < count ? String(bytes.readUInt16BE(8 + index * 2)).padStart(4, '0') : '0000';
  let whole = '';
  for (let index = 0; index <= weight; index++) whole += digit(index);
  let fraction = '';
  for (let index = weight + 1; fraction.length < scale; index++) fraction += digit(index);
  const left = whole.replace(/^0+/, '') || '0';
  return `${sign === 0x4000 ? '-' : ''}${left}${scale > 0 ? `.${fraction.slice(0, scale)}` : ''}`;
}
