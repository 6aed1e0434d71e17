import { BULK_TYPES_FOLLOW, INDICATOR } from '../../src/mysql/bulk-parameters.js';
import { COM, FIELD_TYPE } from '../../src/mysql/capabilities.js';
import { encodePrepare } from '../../src/mysql/commands.js';
import { encodePacket } from '../../src/mysql/packets.js';
import { Writer } from '../../src/mysql/wire.js';
import type { Command } from './conversation.js';

export const DEFAULT = { indicator: INDICATOR.DEFAULT };
export const IGNORE = { indicator: INDICATOR.IGNORE };

/** A whole number, a text, NULL, or a word in place of a value. */
export type BulkValue = number | string | null | { readonly indicator: number };

export interface BulkOptions {
  readonly flags?: number;
  /** Told otherwise than by the first set. */
  readonly types?: readonly number[];
}

/** COM_STMT_BULK_EXECUTE of the statement that was prepared last. */
export function bulk(
  sets: readonly (readonly BulkValue[])[],
  options: BulkOptions = {},
): (statement: number) => Buffer {
  const { flags = BULK_TYPES_FOLLOW } = options;
  const types = options.types ?? (sets[0] ?? []).map(typeOf);
  return (statement) => {
    const writer = new Writer().int1(COM.STMT_BULK_EXECUTE).int4(statement).int2(flags);
    if ((flags & BULK_TYPES_FOLLOW) !== 0) for (const type of types) writer.int2(type);
    for (const value of sets.flat()) {
      if (value === null) writer.int1(INDICATOR.NULL);
      else if (typeof value === 'object') writer.int1(value.indicator);
      else if (typeof value === 'number') writer.int1(INDICATOR.VALUE).int4(value);
      else writer.int1(INDICATOR.VALUE).lenencText(value);
    }
    return encodePacket(writer.finish());
  };
}

/** Prepares a statement and executes it with these sets. */
export function prepareAndBulk(
  sql: string,
  sets: readonly (readonly BulkValue[])[],
  options: BulkOptions = {},
): Command[] {
  return [encodePrepare(sql), bulk(sets, options)];
}

function typeOf(value: BulkValue): number {
  return typeof value === 'number' ? FIELD_TYPE.LONG : FIELD_TYPE.VAR_STRING;
}
