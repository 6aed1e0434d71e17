import { unsupported } from '../lib/errors.js';

/** Later than every date, or earlier; far outside of what Postgres can store. */
const INFINITY = 2n ** 100n;

/** Days of a date or microseconds of a timestamp, since 2000-01-01, from their text in the ISO DateStyle. */
export function parseTime(text: string, unit: 'days' | 'microseconds'): bigint {
  if (text === 'infinity') return INFINITY;
  if (text === '-infinity') return -INFINITY;
  const match =
    /^(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?([+-]\d\d(?::\d\d(?::\d\d)?)?)?( BC)?$/.exec(
      text,
    );
  if (match === null)
    throw unsupported('dates of several shards in a DateStyle other than ISO', 'SET DateStyle = ISO.');
  const year = match[9] === undefined ? Number(match[1]) : 1 - Number(match[1]);
  const days = BigInt(daysFromCivil(year, Number(match[2]), Number(match[3])));
  if (unit === 'days') return days;
  const seconds =
    Number(match[4] ?? 0) * 3_600 + Number(match[5] ?? 0) * 60 + Number(match[6] ?? 0) - offsetOf(match[8]);
  return (days * 86_400n + BigInt(seconds)) * 1_000_000n + BigInt((match[7] ?? '').padEnd(6, '0'));
}

/** The binary forms: 32-bit days, 64-bit microseconds; the extremes mean infinity. */
export function readTime(bytes: Buffer): bigint {
  const value = bytes.length === 4 ? BigInt(bytes.readInt32BE()) : bytes.readBigInt64BE();
  const bits = BigInt(bytes.length * 8 - 1);
  if (value === 2n ** bits - 1n) return INFINITY;
  return value === -(2n ** bits) ? -INFINITY : value;
}

function offsetOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const [hours = 0, minutes = 0, seconds = 0] = text.slice(1).split(':').map(Number);
  const total = hours * 3_600 + minutes * 60 + seconds;
  return text.startsWith('-') ? -total : total;
}

/** Howard Hinnant's days_from_civil, counted from 2000-01-01; years before 1 are astronomical. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468 - 10_957;
}
