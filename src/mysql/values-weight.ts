import type { ResultColumn } from '../pool/backend.js';
import type { WeighedText } from '../proxy/merge-values.js';
import { MYSQL_TYPE, UNSIGNED } from '../routing/mysql-key.js';
import { FIELD_FLAG } from './capabilities.js';

/** Character set `binary`: bytes, not text. */
const BINARY = 63;

/** One level of a text's weights, without those of trailing blanks where they do not count. */
interface Level {
  readonly weights: Buffer;
  /** What the shorter of two texts is filled up with; empty where it is simply less. */
  readonly blank: Buffer;
}

/**
 * Texts by what WEIGHT_STRING gives: bytes that sort as the texts do, one group of them for each character. Where trailing blanks do not
 * count, the shorter text is as if filled up with blanks, so that a tab comes before the end. Collations of several levels send all
 * weights of a level one behind the other.
 */
export const weighedText: WeighedText = {
  applies: ({ typeOid, tableOid, typeModifier }: ResultColumn) =>
    (typeOid & ~UNSIGNED) !== MYSQL_TYPE.json &&
    tableOid !== BINARY &&
    (typeModifier & (FIELD_FLAG.ENUM | FIELD_FLAG.SET)) === 0,
  decode: (weight, blank) => levelsOf(weight, blank),
  compare: (a, b) => compareLevels(a as Level[], b as Level[]),
  keyOf: (value) =>
    (value as Level[]).map(({ weights }) => `${weights.length}:${weights.toString('latin1')}`).join(''),
};

/** Weights of one level are of one or two bytes, or of three (`_bin`). */
const MAX_UNIT = 3;
/** Weights of several levels are of two bytes each, and those of a level are less than all of the level before it (UTS 10, WF2). */
const LEVEL_UNIT = 2;

function levelsOf(weight: Buffer, blank: Buffer): Level[] {
  if (blank.length <= MAX_UNIT) return [trimmed(weight, blank)];
  const levels: Level[] = [];
  const bounds = [0x0200, 0x0020, 0];
  let from = 0;
  for (let level = 0; level * LEVEL_UNIT < blank.length; level++) {
    const own = blank.subarray(level * LEVEL_UNIT, (level + 1) * LEVEL_UNIT);
    let until = from;
    while (until + LEVEL_UNIT <= weight.length && weight.readUInt16BE(until) >= bounds[level]!)
      until += LEVEL_UNIT;
    levels.push(trimmed(weight.subarray(from, until), own));
    from = until;
  }
  return levels;
}

function trimmed(weights: Buffer, blank: Buffer): Level {
  let end = weights.length;
  if (blank.length > 0)
    while (end >= blank.length && weights.compare(blank, 0, blank.length, end - blank.length, end) === 0)
      end -= blank.length;
  return { weights: weights.subarray(0, end), blank };
}

function compareLevels(a: readonly Level[], b: readonly Level[]): number {
  for (let level = 0; level < a.length; level++) {
    const order = compareLevel(a[level]!, b[level]!);
    if (order !== 0) return order;
  }
  return 0;
}

function compareLevel({ weights: a, blank }: Level, { weights: b }: Level): number {
  const common = Math.min(a.length, b.length);
  const order = a.compare(b, 0, common, 0, common);
  if (order !== 0 || a.length === b.length) return order;
  if (blank.length === 0) return a.length - b.length;
  const [rest, sign] = a.length > b.length ? [a, 1] : [b, -1];
  for (let at = common; at < rest.length; at++) {
    const difference = rest[at]! - blank[(at - common) % blank.length]!;
    if (difference !== 0) return sign * difference;
  }
  return 0;
}
