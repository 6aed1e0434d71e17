import { isUtf8 } from 'node:buffer';
import { canonicalKey, isWithin } from '../topology/key.js';
import type { KeyBounds, KeyType } from '../topology/keyspace.js';

/** The column whose field in a file is a shard key. */
export interface LoadedKey {
  readonly type: KeyType;
  readonly maxLength?: number;
  readonly bounds?: KeyBounds;
  /** It is a text of a character set that has all characters. */
  readonly hasAllCharacters: boolean;
}

/** How a key must be written, so that the column stores what is written. */
const FORMS: Readonly<Partial<Record<KeyType, RegExp>>> = {
  integer: /^[+-]?\d{1,20}$/,
  numeric: /^[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})$/,
  uuid: /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i,
  date: /^\d{4}-\d{2}-\d{2}$/,
  timestamp: /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{1,6})?$/,
};
const TEXTS: ReadonlySet<KeyType> = new Set(['text', 'bpchar', 'text-ci']);
const HIGH_CHARACTER = /[\u{10000}-\u{10ffff}]/u;

/**
 * The field's key as a text for `canonicalKey`; undefined where the column may store another value. A LOAD DATA LOCAL never fails for a
 * value that does not fit: it is cut, clamped or replaced.
 */
export function loadedKey(field: Buffer, key: LoadedKey, charset: string): string | undefined {
  const { type, maxLength = Number.POSITIVE_INFINITY, bounds = {} } = key;
  if (type === 'bytes') {
    const hex = field.toString('hex');
    return isWithin(type, hex, bounds) ? `\\x${hex}` : undefined;
  }
  const text = textOf(field, key, charset);
  if (text === undefined) return undefined;
  const fits = TEXTS.has(type) ? [...text].length <= maxLength : FORMS[type]?.test(text) === true;
  const canonical = fits ? canonicalKey(type, text) : undefined;
  return canonical !== undefined && isWithin(type, canonical, bounds) ? text : undefined;
}

function textOf(field: Buffer, { hasAllCharacters }: LoadedKey, charset: string): string | undefined {
  const text = field.toString('utf8');
  if (text.length === field.length && !text.includes('\ufffd')) return text;
  if (!hasAllCharacters || !charset.startsWith('utf8') || !isUtf8(field)) return undefined;
  return charset === 'utf8mb4' || !HIGH_CHARACTER.test(text) ? text : undefined;
}
