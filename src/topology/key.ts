import type { KeyBounds, KeyType } from './keyspace.js';

/**
 * The one text of a key value that is hashed, however the value was written; the same that `tokenSql` makes in the
 * database. undefined when it cannot be told for certain what the database would read in `text`.
 */
export function canonicalKey(type: KeyType, text: string): string | undefined {
  switch (type) {
    case 'text':
      return text;
    case 'bpchar':
      return text.replace(/ +$/, '');
    case 'text-ci':
      return /^[ -~]*$/.test(text) ? text.replace(/ +$/, '').toLowerCase() : undefined;
    case 'integer':
      return canonicalInteger(text);
    case 'numeric':
      return canonicalNumeric(text);
    case 'uuid':
      return canonicalUuid(text);
    case 'bytes':
      return canonicalBytes(text);
    case 'date':
      return canonicalDate(text);
    case 'timestamp':
      return canonicalTimestamp(text, false);
    case 'timestamptz':
      return canonicalTimestamp(text, true);
  }
}

/** Does a column with these bounds store the value, which is `canonical`, as it is? */
export function isWithin(type: KeyType, canonical: string, bounds: KeyBounds): boolean {
  const { low, high, scale, precision, minBytes = 0, maxBytes = Number.POSITIVE_INFINITY } = bounds;
  if (type === 'integer')
    return (
      (low === undefined || BigInt(canonical) >= low) && (high === undefined || BigInt(canonical) <= high)
    );
  if (type === 'numeric' && scale !== undefined && precision !== undefined) {
    if (low === 0n && canonical.startsWith('-')) return false;
    const [whole = '', fraction = ''] = canonical.replace(/^-/, '').split('.');
    return fraction.length <= scale && whole.replace(/^0$/, '').length <= precision - scale;
  }
  if (type === 'timestamp' && scale !== undefined) return BigInt(canonical) % 10n ** BigInt(6 - scale) === 0n;
  if (type === 'bytes') return canonical.length / 2 >= minBytes && canonical.length / 2 <= maxBytes;
  return true;
}

const INT8_MIN = -(2n ** 63n);
/** Of MySQL's `bigint unsigned`. */
const UNSIGNED_MAX = 2n ** 64n - 1n;

/** Whole numbers in any spelling (5, +5, 5.0, 5e0); what is not whole or not in 64 bits, signed or not, equals no integer. */
function canonicalInteger(text: string): string | undefined {
  if (/^(0|-?[1-9]\d{0,17})$/.test(text)) return text;
  const canonical = canonicalNumeric(text);
  if (canonical === undefined || !/^-?\d+$/.test(canonical)) return undefined;
  const value = BigInt(canonical);
  return value < INT8_MIN || value > UNSIGNED_MAX ? undefined : canonical;
}

/** Digits beyond these would let a short text ask for a huge one. */
const MAX_EXPONENT = 1_000;

/** Plain decimal notation without needless zeros: what `trim_scale(numeric)::text` gives. */
export function canonicalNumeric(text: string): string | undefined {
  const trimmed = text.trim();
  if (/^nan$/i.test(trimmed)) return 'NaN';
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/.exec(trimmed);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', exponentText] = match;
  if (whole === '' && fraction === '') return undefined;
  const exponent = Number(exponentText ?? 0);
  if (Math.abs(exponent) > MAX_EXPONENT) return undefined;
  let digits = whole + fraction;
  let point = whole.length + exponent;
  if (point < 0) {
    digits = '0'.repeat(-point) + digits;
    point = 0;
  }
  if (point > digits.length) digits = digits.padEnd(point, '0');
  const left = digits.slice(0, point).replace(/^0+/, '') || '0';
  const right = digits.slice(point).replace(/0+$/, '');
  if (left === '0' && right === '') return '0';
  return `${sign === '-' ? '-' : ''}${left}${right === '' ? '' : `.${right}`}`;
}

function canonicalUuid(text: string): string | undefined {
  const bare = /^\{.*\}$/.test(text) ? text.slice(1, -1) : text;
  if (!/^[0-9A-Fa-f]{4}(-?[0-9A-Fa-f]{4}){7}$/.test(bare)) return undefined;
  const hex = bare.replaceAll('-', '').toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** `\xDEADBEEF` or the older escape format (manual section 8.4). */
function canonicalBytes(text: string): string | undefined {
  if (text.startsWith('\\x')) {
    const hex = text.slice(2).replace(/\s+/g, '').toLowerCase();
    return /^([0-9a-f]{2})*$/.test(hex) ? hex : undefined;
  }
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 127) return undefined;
    if (code !== 92) bytes.push(code);
    else if (text[at + 1] === '\\') bytes.push(text.charCodeAt(++at));
    else {
      const octal = /^[0-3][0-7]{2}/.exec(text.slice(at + 1, at + 4));
      if (octal === null) return undefined;
      bytes.push(Number.parseInt(octal[0], 8));
      at += 3;
    }
  }
  return Buffer.from(bytes).toString('hex');
}

/** Days from 1970-01-01 to 2000-01-01, Postgres' epoch. */
const POSTGRES_EPOCH_DAYS = 10_957;

/** Only ISO dates of four-digit years: everything else depends on DateStyle or on the day's news. */
function canonicalDate(text: string): string | undefined {
  const days = daysOf(text.trim());
  return days === undefined ? undefined : String(days - POSTGRES_EPOCH_DAYS);
}

/** Days since 1970-01-01 of YYYY-MM-DD. */
function daysOf(text: string): number | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (year === 0) return undefined;
  const time = new Date(0);
  time.setUTCFullYear(year, month - 1, day);
  if (time.getUTCMonth() !== month - 1 || time.getUTCDate() !== day) return undefined;
  return time.getTime() / 86_400_000;
}

/**
 * Microseconds since 1970 (UTC). A timestamptz needs its offset in the text, else it depends on the session's TimeZone; a timestamp
 * must have none (the server would ignore it, and whoever wrote it meant something else).
 */
function canonicalTimestamp(text: string, hasZone: boolean): string | undefined {
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?\s?(Z|[+-]\d{2}(?::?\d{2}(?::\d{2})?)?)?$/i.exec(
      text.trim(),
    );
  if (match === null || (match[6] !== undefined) !== hasZone) return undefined;
  const days = daysOf(match[1]!);
  const [hour, minute, second] = [Number(match[2] ?? 0), Number(match[3] ?? 0), Number(match[4] ?? 0)];
  if (days === undefined || hour > 23 || minute > 59 || second > 59) return undefined;
  const offset = match[6] === undefined ? 0 : offsetSeconds(match[6]);
  const seconds = BigInt(days) * 86_400n + BigInt(hour * 3_600 + minute * 60 + second - offset);
  return String(seconds * 1_000_000n + BigInt((match[5] ?? '').padEnd(6, '0')));
}

function offsetSeconds(text: string): number {
  if (text.toUpperCase() === 'Z') return 0;
  const digits = text.slice(1).replaceAll(':', '');
  const seconds =
    Number(digits.slice(0, 2)) * 3_600 +
    Number(digits.slice(2, 4) || 0) * 60 +
    Number(digits.slice(4, 6) || 0);
  return text.startsWith('-') ? -seconds : seconds;
}
