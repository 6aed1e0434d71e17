import { Readable } from 'node:stream';

/** A statement that loads a file into `texts (id, x, y)`, and the file. */
export interface LoadCase {
  readonly sql: string;
  readonly file: Buffer;
}

/** Numbers from 0 up to 1 (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const hex = (text: string) => `0x${Buffer.from(text).toString('hex')}`;
const textOf = (text: string) => (text === '' ? "''" : hex(text));

/** The same for the same seed. Fields hold whatever can be taken for something else: separators, quotes, escapes, NULL. */
export function randomCase(seed: number): LoadCase {
  const random = generator(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const fieldEnd = pick([',', '\t', '||', ';', ',,x', 'ab']);
  const lineEnd = pick(['\n', '\n', '\r\n', '$$', '.\n', 'xyx']);
  const quote = pick(['', '', '"', "'"]);
  const escapeMark = pick(['\\', '\\', '', quote, '~']);
  const lineStart = pick(['', '', '', '>>', 'x', 'aab']);
  const skip = pick([0, 0, 1, 2]);
  const charset = pick([
    'CHARACTER SET utf8mb4',
    'CHARACTER SET utf8',
    'CHARACTER SET latin1',
    'CHARACTER SET binary',
    '',
  ]);
  const columns = pick(['', '(id, x, y)', '(x, id, y)', '(y, x, id)', '(id)', '(x, id)']);
  const isOptional = pick(['', 'OPTIONALLY ']);
  const words = ['a', 'b', 'n', 'N', 'x', '1', '2', ' ', 'NULL', 'key', '>', '$', 'ä', '€', '🐘'];
  const marks = [
    fieldEnd,
    lineEnd,
    quote,
    escape,
    lineStart,
    fieldEnd[0]!,
    lineEnd[0]!,
    '\\N',
    `${escapeMark}N`,
    '"',
    '\r',
    '\0',
  ];
  const content = (): string => {
    const length = Math.floor(random() * 5);
    return Array.from({ length }, () => (random() < 0.25 ? pick(marks) : pick(words))).join('');
  };
  const field = (): string => {
    const form = random();
    if (form < 0.06) return `${escapeMark}N`;
    if (form < 0.1) return 'NULL';
    return form < 0.5 ? `${quote}${content()}${quote}` : content();
  };
  const line = (): string =>
    (random() < 0.9 ? lineStart : '') +
    Array.from({ length: random() < 0.8 ? 3 : Math.floor(random() * 6) }, field).join(fieldEnd);
  const lines = Array.from({ length: Math.floor(random() * 12) }, line);
  const file = Buffer.from(lines.join(lineEnd) + (random() < 0.8 ? lineEnd : ''));
  const sql = [
    `LOAD DATA LOCAL INFILE 'f' INTO TABLE texts ${charset}`,
    `FIELDS TERMINATED BY ${textOf(fieldEnd)} ${isOptional}ENCLOSED BY ${textOf(quote)} ESCAPED BY ${textOf(escapeMark)}`,
    `LINES STARTING BY ${textOf(lineStart)} TERMINATED BY ${textOf(lineEnd)}`,
    skip === 0 ? '' : `IGNORE ${skip} LINES`,
    columns,
  ].join(' ');
  return { sql, file };
}

export function* piecesOf(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A client's file that comes in these pieces. */
export const fileOf = (pieces: Iterable<Buffer>): Readable => Readable.from(pieces, { objectMode: true });
