import type { Hold } from '../topology/gate.js';
import type { WrittenHold } from './messages.js';

/** JSON has no 64-bit integers. */
export function writeHold(hold: Hold): WrittenHold {
  return {
    ranges: hold.ranges.map(({ low, high }) => [low.toString(), high.toString()]),
    reference: hold.reference,
  };
}

export function readHold(written: WrittenHold): Hold {
  return {
    ranges: written.ranges.map(([low, high]) => ({ low: BigInt(low), high: BigInt(high) })),
    reference: written.reference,
  };
}
