import type { ParameterValues } from '../routing/plan.js';
import { BULK_TYPES_FOLLOW, INDICATOR } from './bulk-parameters.js';
import { COM, FIELD_TYPE, UNSIGNED_TYPE } from './capabilities.js';
import { encodePacket, HEADER_BYTES, MAX_PAYLOAD_BYTES } from './packets.js';
import { writeBinaryValue } from './result-messages.js';
import { Writer } from './wire.js';

// Commands as we say them to servers: whole packets with their headers.

export function encodeQuery(sql: string | Buffer): Buffer {
  return command(COM.QUERY, sql);
}

export function encodePrepare(sql: string | Buffer): Buffer {
  return command(COM.STMT_PREPARE, sql);
}

export function encodeInitDb(database: string): Buffer {
  return command(COM.INIT_DB, database);
}

/** The server does not answer it. */
export function encodeStatementClose(statementId: number): Buffer {
  return encodePacket(new Writer(5).int1(COM.STMT_CLOSE).int4(statementId).finish());
}

export const QUIT = encodePacket(Buffer.of(COM.QUIT));
export const RESET_CONNECTION = encodePacket(Buffer.of(COM.RESET_CONNECTION));
/** Says what is true anyway (several statements in one query are allowed). Its answer is an EOF with the status flags, and it leaves warnings and ROW_COUNT() of a failed statement as they are. */
export const ASK_STATUS = encodePacket(Buffer.of(COM.SET_OPTION, 0, 0));

const NO_CURSOR = 0;
const TYPES_FOLLOW = 1;

/**
 * COM_STMT_EXECUTE: `17, statement id: 4, cursor: 1, 1: 4, NULL bitmap: (n + 7) / 8, 1, types: 2 each, values`. Types are always sent: the
 * server may never have heard them on this connection. Values in text format go as strings. Several sets of values make it a COM_STMT_BULK_EXECUTE.
 */
export function encodeExecute(statementId: number, parameters: ParameterValues | undefined): Buffer {
  if (parameters?.sets !== undefined) return encodeBulkExecute(statementId, parameters, parameters.sets);
  const count = parameters?.count ?? 0;
  const writer = new Writer(64).int1(COM.STMT_EXECUTE).int4(statementId).int1(NO_CURSOR).int4(1);
  if (parameters === undefined || count === 0) return encodePacket(writer.finish());
  for (let from = 0; from < count; from += 8)
    writer.int1(nullBits(parameters, from, Math.min(from + 8, count)));
  writer.int1(TYPES_FOLLOW);
  for (let index = 0; index < count; index++) writer.int2(typeOf(parameters, index));
  for (let index = 0; index < count; index++) {
    const value = parameters.bytes(index);
    if (value !== undefined) writeBinaryValue(writer, typeOf(parameters, index), value);
  }
  return encodePacket(writer.finish());
}

/** One byte of the NULL bitmap. */
function nullBits(parameters: ParameterValues, from: number, end: number): number {
  let bits = 0;
  for (let index = from; index < end; index++)
    if (parameters.bytes(index) === undefined) bits |= 1 << (index - from);
  return bits;
}

/** See `decodeBulkExecute`; one packet's worth, as it came in one. */
function encodeBulkExecute(
  statementId: number,
  parameters: ParameterValues,
  sets: readonly ParameterValues[],
): Buffer {
  const writer = new Writer(64).int1(COM.STMT_BULK_EXECUTE).int4(statementId).int2(BULK_TYPES_FOLLOW);
  const types = Array.from({ length: parameters.count }, (_, index) => typeOf(parameters, index));
  for (const type of types) writer.int2(type);
  for (const set of sets) {
    for (const [index, type] of types.entries()) {
      const word = set.word?.(index);
      const value = word === undefined ? set.bytes(index) : undefined;
      if (word !== undefined) writer.int1(INDICATOR[word]);
      else if (value === undefined) writer.int1(INDICATOR.NULL);
      else writeBinaryValue(writer.int1(INDICATOR.VALUE), type, value);
    }
  }
  return encodePacket(writer.finish());
}

function typeOf(parameters: ParameterValues, index: number): number {
  if (parameters.format(index) === 0) return FIELD_TYPE.VAR_STRING;
  return parameters.typeOid(index) & (UNSIGNED_TYPE | 0xff);
}

function command(code: number, text: string | Buffer): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  if (bytes.length + 1 >= MAX_PAYLOAD_BYTES) return encodePacket(Buffer.concat([Buffer.of(code), bytes]));
  const packet = Buffer.allocUnsafe(HEADER_BYTES + 1 + bytes.length);
  packet.writeUInt32LE(bytes.length + 1, 0);
  packet[HEADER_BYTES] = code;
  packet.set(bytes, HEADER_BYTES + 1);
  return packet;
}
