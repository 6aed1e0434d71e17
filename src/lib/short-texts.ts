/** Texts of so many bytes are kept, in so many places. */
const MOST_BYTES = 32;
const PLACES = 512;

interface Kept {
  readonly bytes: Buffer;
  readonly text: string;
}

/**
 * Texts that come again and again (names of statements, command tags), each decoded once: comparing a few bytes takes less than a call into
 * the decoder, and a string that is known has its hash already. A text takes the place of another one with the same sum.
 */
const places: (Kept | undefined)[] = new Array<Kept | undefined>(PLACES).fill(undefined);

/** The UTF-8 text of these bytes. */
export function shortText(buffer: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length === 0) return '';
  if (length > MOST_BYTES) return buffer.toString('utf8', start, end);
  let sum = length;
  for (let at = start; at < end; at++) sum = (sum * 31 + buffer[at]!) | 0;
  const place = sum & (PLACES - 1);
  const kept = places[place];
  if (kept !== undefined && isEqual(kept.bytes, buffer, start, length)) return kept.text;
  const text = buffer.toString('utf8', start, end);
  places[place] = { bytes: Buffer.from(buffer.subarray(start, end)), text };
  return text;
}

function isEqual(bytes: Buffer, buffer: Buffer, start: number, length: number): boolean {
  if (bytes.length !== length) return false;
  for (let at = 0; at < length; at++) if (bytes[at] !== buffer[start + at]) return false;
  return true;
}
