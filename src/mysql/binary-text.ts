import type { ResultColumn } from '../pool/backend.js';
import { FIELD_FLAG, FIELD_TYPE, has, UNSIGNED_TYPE } from './capabilities.js';

/** `decimals` of a FLOAT or DOUBLE without a fixed scale (31 in MySQL, 39 in MariaDB), and of a temporal value that has none. */
const NO_FIXED_DECIMALS = 31;
/** Doubles are written with an exponent when their decimal point lies further off (my_gcvt's DBL_DIG). */
const MAX_POINT = 15;

/** A value of the binary protocol as the text protocol would say it. */
export function binaryAsText(value: Buffer, column: ResultColumn): Buffer {
  const text = textOf(value, column);
  return text === undefined ? value : Buffer.from(text, 'latin1');
}

/** Undefined: the bytes are the text. */
function textOf(value: Buffer, column: ResultColumn): string | undefined {
  const isUnsigned = (column.typeOid & UNSIGNED_TYPE) !== 0;
  switch (column.typeOid & 0xff) {
    case FIELD_TYPE.TINY:
      return integer(isUnsigned ? value.readUInt8() : value.readInt8(), column);
    case FIELD_TYPE.SHORT:
      return integer(isUnsigned ? value.readUInt16LE() : value.readInt16LE(), column);
    case FIELD_TYPE.YEAR:
      return String(value.readUInt16LE()).padStart(4, '0');
    case FIELD_TYPE.LONG:
    case FIELD_TYPE.INT24:
      return integer(isUnsigned ? value.readUInt32LE() : value.readInt32LE(), column);
    case FIELD_TYPE.LONGLONG:
      return integer(isUnsigned ? value.readBigUInt64LE() : value.readBigInt64LE(), column);
    case FIELD_TYPE.FLOAT:
      return float(Number(value.readFloatLE().toPrecision(6)), value.readFloatLE(), column);
    case FIELD_TYPE.DOUBLE:
      return float(value.readDoubleLE(), value.readDoubleLE(), column);
    case FIELD_TYPE.DATE:
      return date(value);
    case FIELD_TYPE.DATETIME:
    case FIELD_TYPE.TIMESTAMP:
      return `${date(value)} ${clock(value, 4, 0, column)}`;
    case FIELD_TYPE.TIME:
      return time(value, column);
    default:
      return undefined;
  }
}

function integer(value: number | bigint, column: ResultColumn): string {
  const text = String(value);
  return has(column.typeModifier, FIELD_FLAG.ZEROFILL) ? text.padStart(column.typeSize, '0') : text;
}

/** `shortest`: rounded to the digits that the text protocol shows. */
function float(shortest: number, exact: number, column: ResultColumn): string {
  if (column.columnNumber < NO_FIXED_DECIMALS) return exact.toFixed(column.columnNumber);
  if (Object.is(shortest, -0)) return '-0';
  if (shortest === 0) return '0';
  const sign = shortest < 0 ? '-' : '';
  const [mantissa, exponent] = Math.abs(shortest).toExponential().split('e') as [string, string];
  const digits = mantissa.replace('.', '');
  const point = Number(exponent) + 1;
  if (point > MAX_POINT || point <= -MAX_POINT) {
    return `${sign}${mantissa}e${Number(exponent)}`;
  }
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  const whole = digits.slice(0, point).padEnd(point, '0');
  const fraction = digits.slice(point);
  return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

/** `year: 2, month: 1, day: 1`, or nothing for the zero date. */
function date(value: Buffer): string {
  if (value.length === 0) return '0000-00-00';
  return `${String(value.readUInt16LE()).padStart(4, '0')}-${two(value[2]!)}-${two(value[3]!)}`;
}

/** `hours: 1, minutes: 1, seconds: 1, [microseconds: 4]` at `start`, left out from behind where they are zero. */
function clock(value: Buffer, start: number, days: number, column: ResultColumn): string {
  const hours = (value[start] ?? 0) + days * 24;
  const seconds = `${two(hours)}:${two(value[start + 1] ?? 0)}:${two(value[start + 2] ?? 0)}`;
  const decimals = column.columnNumber >= NO_FIXED_DECIMALS ? 0 : column.columnNumber;
  if (decimals === 0) return seconds;
  const micros = value.length >= start + 7 ? value.readUInt32LE(start + 3) : 0;
  return `${seconds}.${String(micros).padStart(6, '0').slice(0, decimals)}`;
}

/** `negative: 1, days: 4, clock`. */
function time(value: Buffer, column: ResultColumn): string {
  if (value.length === 0) return clock(value, 5, 0, column);
  return `${value[0] === 1 ? '-' : ''}${clock(value, 5, value.readUInt32LE(1), column)}`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
