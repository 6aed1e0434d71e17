/** A place in the write-ahead log, as pg_lsn counts it: bytes since the cluster began. */
export type Lsn = bigint;

/** `16/B374D848` → number. Source of the format: manual, section 8.20 "pg_lsn Type". */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) throw new RangeError(`not a log position: ${JSON.stringify(text)}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Math.max knows no bigint. */
export function laterLsn(one: Lsn, other: Lsn): Lsn {
  const isOneLater = one > other;
  return isOneLater ? one : other;
}
