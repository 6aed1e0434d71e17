/** An exact decimal number: `digits` × 10^-`scale`. What numeric can be besides stands as a name. */
export type Decimal = { readonly digits: bigint; readonly scale: number } | 'NaN' | 'Infinity' | '-Infinity';

export function parseDecimal(text: string): Decimal {
  if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return text;
  const point = text.indexOf('.');
  if (point === -1) return { digits: BigInt(text), scale: 0 };
  return { digits: BigInt(text.slice(0, point) + text.slice(point + 1)), scale: text.length - point - 1 };
}

export function formatDecimal(value: Decimal): string {
  if (typeof value === 'string') return value;
  if (value.scale === 0) return value.digits.toString();
  const isNegative = value.digits < 0n;
  const digits = (isNegative ? -value.digits : value.digits).toString().padStart(value.scale + 1, '0');
  return `${isNegative ? '-' : ''}${digits.slice(0, -value.scale)}.${digits.slice(-value.scale)}`;
}

export function addDecimals(a: Decimal, b: Decimal): Decimal {
  if (typeof a === 'string' || typeof b === 'string') {
    if (a === 'NaN' || b === 'NaN') return 'NaN';
    if (typeof a === 'string' && typeof b === 'string') return a === b ? a : 'NaN';
    return typeof a === 'string' ? a : b;
  }
  const scale = Math.max(a.scale, b.scale);
  return { digits: atScale(a, scale) + atScale(b, scale), scale };
}

/** Postgres' order: -Infinity, numbers, Infinity, NaN. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const [rankA, rankB] = [rank(a), rank(b)];
  if (rankA !== rankB || typeof a === 'string' || typeof b === 'string') return rankA - rankB;
  const scale = Math.max(a.scale, b.scale);
  const [x, y] = [atScale(a, scale), atScale(b, scale)];
  return x < y ? -1 : x > y ? 1 : 0;
}

function rank(value: Decimal): number {
  return value === 'NaN' ? 2 : value === 'Infinity' ? 1 : value === '-Infinity' ? -1 : 0;
}

function atScale(value: Exclude<Decimal, string>, scale: number): bigint {
  return value.digits * 10n ** BigInt(scale - value.scale);
}

/** Divides by a positive count with the scale that numeric_div chooses (select_div_scale in numeric.c). */
export function divideDecimal(value: Decimal, count: bigint): Decimal {
  if (typeof value === 'string') return value;
  const scale = divisionScale(value, { digits: count, scale: 0 });
  return {
    digits: divideRounded(value.digits * 10n ** BigInt(scale), count * 10n ** BigInt(value.scale)),
    scale,
  };
}

/** At least 16 significant digits: NUMERIC_MIN_SIG_DIGITS, counted in digits to the base of 10000. */
function divisionScale(a: Exclude<Decimal, string>, b: Exclude<Decimal, string>): number {
  const [first, second] = [leadingDigit(a), leadingDigit(b)];
  let weight = first.weight - second.weight;
  if (first.digit <= second.digit) weight--;
  return Math.min(1_000, Math.max(16 - weight * 4, a.scale, b.scale, 0));
}

/** The first digit to the base of 10000 that is not zero, and its weight (0: the ones). */
function leadingDigit(value: Exclude<Decimal, string>): { digit: number; weight: number } {
  if (value.digits === 0n) return { digit: 0, weight: 0 };
  const text = (value.digits < 0n ? -value.digits : value.digits).toString();
  const exponent = text.length - 1 - value.scale;
  const weight = Math.floor(exponent / 4);
  const length = exponent - weight * 4 + 1;
  return { digit: Number(text.slice(0, length).padEnd(length, '0')), weight };
}

/** Half away from zero, as numeric rounds. */
export function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const isNegative = dividend < 0n;
  const absolute = isNegative ? -dividend : dividend;
  const quotient = (absolute * 2n + divisor) / (divisor * 2n);
  return isNegative ? -quotient : quotient;
}

export function roundToInteger(value: Exclude<Decimal, string>): bigint {
  return value.scale === 0 ? value.digits : divideRounded(value.digits, 10n ** BigInt(value.scale));
}

/** numeric_send: count, weight, sign, scale, then digits to the base of 10000. */
export function encodeDecimal(value: Decimal): Buffer {
  if (typeof value === 'string') return special(value);
  const isNegative = value.digits < 0n;
  const text = (isNegative ? -value.digits : value.digits).toString().padStart(value.scale + 1, '0');
  const whole = text.slice(0, text.length - value.scale);
  const fraction = text.slice(text.length - value.scale);
  const padded =
    whole.padStart(Math.ceil(whole.length / 4) * 4, '0') +
    fraction.padEnd(Math.ceil(fraction.length / 4) * 4, '0');
  let groups = (padded.match(/\d{4}/g) ?? []).map(Number);
  let weight = Math.ceil(whole.length / 4) - 1;
  while (groups[0] === 0) {
    groups = groups.slice(1);
    weight--;
  }
  while (groups.at(-1) === 0) groups = groups.slice(0, -1);
  if (groups.length === 0) weight = 0;
  const bytes = Buffer.alloc(8 + groups.length * 2);
  bytes.writeUInt16BE(groups.length, 0);
  bytes.writeInt16BE(weight, 2);
  bytes.writeUInt16BE(isNegative ? 0x4000 : 0, 4);
  bytes.writeUInt16BE(value.scale, 6);
  groups.forEach((group, index) => {
    bytes.writeUInt16BE(group, 8 + index * 2);
  });
  return bytes;
}

function special(value: 'NaN' | 'Infinity' | '-Infinity'): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16BE(value === 'NaN' ? 0xc000 : value === 'Infinity' ? 0xd000 : 0xf000, 4);
  return bytes;
}
