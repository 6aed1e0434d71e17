/** An exact decimal number: `digits` × 10^-`scale`. */
export interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

export function parseDecimal(text: string): Decimal {
  const point = text.indexOf('.');
  if (point === -1) return { digits: BigInt(text), scale: 0 };
  const digits = BigInt(text.slice(0, point).replace(/^-?$/, '$&0') + text.slice(point + 1));
  return { digits, scale: text.length - point - 1 };
}

export function formatDecimal({ digits, scale }: Decimal): string {
  if (scale === 0) return digits.toString();
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
  return `${digits < 0n ? '-' : ''}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}

export function addDecimals(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return { digits: atScale(a, scale) + atScale(b, scale), scale };
}

export function compareDecimals(a: Decimal, b: Decimal): number {
  const scale = Math.max(a.scale, b.scale);
  const [x, y] = [atScale(a, scale), atScale(b, scale)];
  return x < y ? -1 : x > y ? 1 : 0;
}

function atScale(value: Decimal, scale: number): bigint {
  return value.digits * 10n ** BigInt(scale - value.scale);
}

/** Equal for equal values: without zeros at the end. */
export function decimalKey(value: Decimal): string {
  const text = formatDecimal(value);
  return value.scale === 0 ? text : text.replace(/\.?0+$/, '').replace(/^-0$/, '0');
}

/** What div_precision_increment adds to the scale of a quotient (manual, "Server System Variables"). */
const DIVISION_DIGITS = 4;
/** DECIMAL_MAX_SCALE of MariaDB; a scale beyond MySQL's 30 is refused before. */
const MAX_SCALE = 38;

/** AVG of exact numbers, rounded half away from zero; without a scale it has four digits more than the sum. */
export function averageDecimal(sum: Decimal, count: bigint, asked?: number): Decimal {
  const scale = asked ?? Math.min(MAX_SCALE, sum.scale + DIVISION_DIGITS);
  const dividend = sum.digits * 10n ** BigInt(Math.max(0, scale - sum.scale));
  const divisor = count * 10n ** BigInt(Math.max(0, sum.scale - scale));
  const isNegative = dividend < 0n;
  const rounded = ((isNegative ? -dividend : dividend) * 2n + divisor) / (divisor * 2n);
  return { digits: isNegative ? -rounded : rounded, scale };
}
