import { decodeLiteral } from '../sql/postgres-literal.js';
import { canonicalKey } from '../topology/key.js';
import type { KeyType } from '../topology/keyspace.js';
import { binaryText, type KeyText, TYPE } from './binary-key.js';
import type { KeyReader, KeyValues } from './key-value.js';
import type { KeySource, ParameterValues } from './plan.js';

/** Postgres' literals and parameters as keys. */
export const postgresKeys: KeyReader = { literal: literalValues, parameter: parameterValues };

function literalValues(source: KeySource & { type: 'literal' }, keyType: KeyType, text: string): KeyValues {
  const value = decodeLiteral(text);
  if (value === undefined || value.type === 'bits') return 'unknown';
  if (source.array === true)
    return value.type === 'string' ? arrayTextValues(value.text, keyType) : 'unknown';
  if (value.type === 'string') return one(canonicalKey(keyType, value.text));
  const number = source.negated ? `-${value.text}` : value.text;
  if (keyType === 'integer' || keyType === 'numeric') return one(canonicalKey(keyType, number));
  // A number stored in a text column is stored as the server prints it: only plain integers print as they are written.
  if (keyType === 'text' || keyType === 'bpchar')
    return /^(0|-?[1-9]\d{0,17})$/.test(number) ? [number] : 'unknown';
  return 'unknown';
}

function parameterValues(
  source: KeySource & { type: 'parameter' },
  keyType: KeyType,
  parameters: ParameterValues,
): KeyValues {
  const bytes = parameters.bytes(source.index);
  if (bytes === undefined) return [null];
  const typeOid = parameters.typeOid(source.index);
  if (parameters.format(source.index) === 0) {
    const text = bytes.toString('utf8');
    return source.array
      ? arrayTextValues(text, keyType, typeOid)
      : one(canonicalOfType(keyType, { text, typeOid }));
  }
  return source.array
    ? arrayBinaryValues(bytes, keyType)
    : one(canonicalOfType(keyType, binaryText(bytes, typeOid, keyType)));
}

function one(canonical: string | undefined): KeyValues {
  return canonical === undefined ? 'unknown' : [canonical];
}

const FAMILIES: Partial<Record<KeyType, readonly number[]>> = {
  integer: [TYPE.int2, TYPE.int4, TYPE.int8, TYPE.numeric, TYPE.float4, TYPE.float8, TYPE.oid],
  numeric: [TYPE.numeric, TYPE.int2, TYPE.int4, TYPE.int8],
  text: [TYPE.text, TYPE.varchar],
  bpchar: [TYPE.bpchar, TYPE.text, TYPE.varchar],
  uuid: [TYPE.uuid],
  bytes: [TYPE.bytea],
  date: [TYPE.date],
  timestamp: [TYPE.timestamp],
  timestamptz: [TYPE.timestamptz],
};

/** Canonical text of a value that the client declared as `typeOid` (0 and `unknown`: read as the column's own type). */
function canonicalOfType(keyType: KeyType, value: KeyText | undefined): string | undefined {
  if (value === undefined) return undefined;
  const { text, typeOid } = value;
  if (typeOid !== 0 && typeOid !== TYPE.unknown && FAMILIES[keyType]?.includes(typeOid) !== true)
    return undefined;
  // Beyond 2^53 a float compares equal to more than one integer.
  if ((typeOid === TYPE.float4 || typeOid === TYPE.float8) && !Number.isSafeInteger(Number(text)))
    return undefined;
  if (typeOid === TYPE.float4 && Math.abs(Number(text)) > 2 ** 24) return undefined;
  return canonicalKey(keyType, text);
}

/** Elements of `{a,"b c",NULL}` (manual section 8.15.6); one dimension only. */
function arrayTextValues(text: string, keyType: KeyType, arrayOid = 0): KeyValues {
  const elementOid = ELEMENT_OF[arrayOid] ?? (arrayOid === 0 || arrayOid === TYPE.unknown ? 0 : -1);
  const body = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1];
  if (body === undefined) return 'unknown';
  const values: (string | null)[] = [];
  if (body.trim() === '') return values;
  const element = /\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^,"{}\\]+))\s*(,|$)/y;
  for (let at = 0; ; ) {
    element.lastIndex = at;
    const match = element.exec(body);
    if (match === null) return 'unknown';
    const bare = match[2]?.trim();
    if (bare !== undefined && bare.toUpperCase() === 'NULL') values.push(null);
    else {
      const canonical = canonicalOfType(keyType, {
        text: bare ?? match[1]!.replace(/\\([\s\S])/g, '$1'),
        typeOid: elementOid,
      });
      if (canonical === undefined) return 'unknown';
      values.push(canonical);
    }
    if (match[3] === '') return values;
    at = element.lastIndex;
  }
}

const ELEMENT_OF: Readonly<Record<number, number>> = {
  1005: TYPE.int2,
  1007: TYPE.int4,
  1016: TYPE.int8,
  1009: TYPE.text,
  1015: TYPE.varchar,
  1014: TYPE.bpchar,
  2951: TYPE.uuid,
  1231: TYPE.numeric,
  1182: TYPE.date,
  1115: TYPE.timestamp,
  1185: TYPE.timestamptz,
  1001: TYPE.bytea,
};

/** Binary array: dimensions, has-null flag, element type, then length and bounds of each dimension (array_send). */
function arrayBinaryValues(bytes: Buffer, keyType: KeyType): KeyValues {
  if (bytes.length < 12) return 'unknown';
  const dimensions = bytes.readInt32BE(0);
  const elementOid = bytes.readUInt32BE(8);
  if (dimensions === 0) return [];
  if (dimensions !== 1 || bytes.length < 20) return 'unknown';
  const count = bytes.readInt32BE(12);
  const values: (string | null)[] = [];
  let at = 20;
  for (let index = 0; index < count; index++) {
    if (at + 4 > bytes.length) return 'unknown';
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length === -1) {
      values.push(null);
      continue;
    }
    if (length < 0 || at + length > bytes.length) return 'unknown';
    const canonical = canonicalOfType(
      keyType,
      binaryText(bytes.subarray(at, at + length), elementOid, keyType),
    );
    if (canonical === undefined) return 'unknown';
    values.push(canonical);
    at += length;
  }
  return values;
}
