/** Shifts and constants of RFC 1321. */
const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const SINES = Int32Array.from({ length: 64 }, (_, index) =>
  Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32),
);

/** Longest text that fits one block with its padding. */
const MAX_LENGTH = 55;

/** Scratch memory of one call; nothing of it outlives the call. */
const block = new Int32Array(16);
const result = new DataView(new ArrayBuffer(8));

/**
 * The first 64 bits of the md5 of a short ASCII text, big-endian and signed; undefined for other texts. A tenth of what
 * `node:crypto` takes for them, and every routed statement needs one.
 */
export function shortMd5(text: string): bigint | undefined {
  const { length } = text;
  if (length > MAX_LENGTH) return undefined;
  block.fill(0);
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code > 127) return undefined;
    block[at >> 2]! |= code << ((at & 3) << 3);
  }
  block[length >> 2]! |= 0x80 << ((length & 3) << 3);
  block[14] = length << 3;
  digest();
  return result.getBigInt64(0);
}

function digest(): void {
  let a = 0x67452301;
  let b = 0xefcdab89 | 0;
  let c = 0x98badcfe | 0;
  let d = 0x10325476;
  for (let step = 0; step < 64; step++) {
    let mixed: number;
    let word: number;
    const round = step >> 4;
    if (round === 0) {
      mixed = d ^ (b & (c ^ d));
      word = step;
    } else if (round === 1) {
      mixed = c ^ (d & (b ^ c));
      word = (step * 5 + 1) & 15;
    } else if (round === 2) {
      mixed = b ^ c ^ d;
      word = (step * 3 + 5) & 15;
    } else {
      mixed = c ^ (b | ~d);
      word = (step * 7) & 15;
    }
    const sum = (a + mixed + SINES[step]! + block[word]!) | 0;
    const shift = SHIFTS[(round << 2) | (step & 3)]!;
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
  }
  result.setInt32(0, (a + 0x67452301) | 0, true);
  result.setInt32(4, (b + (0xefcdab89 | 0)) | 0, true);
}
