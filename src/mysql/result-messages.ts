import { OperatingError } from '../lib/errors.js';
import type { ResultColumn, RowFields, ServerError } from '../pool/backend.js';
import { characterSetOf, FIELD_FLAG, FIELD_TYPE, STATUS, UNSIGNED_TYPE } from './capabilities.js';
import { FIRST_BYTE } from './packets.js';
import { NULL_MARK, Reader, Writer } from './wire.js';

// Payloads only, without headers, in the form without SESSION_TRACK and (but for `encodeOk`'s header) without DEPRECATE_EOF.

/** `00 | fe, affected rows, last insert id: lenenc; status: 2, warnings: 2, info: lenenc string or nothing`. */
export interface OkMessage {
  readonly affectedRows: bigint;
  readonly lastInsertId: bigint;
  readonly status: number;
  readonly warnings: number;
  readonly info: string;
  /** What SESSION_TRACK tells; undefined: nothing, in the form of those who do not have it. */
  readonly sessionState?: Buffer | undefined;
}

/** `header` 0xfe: the OK that stands for an EOF where the client has DEPRECATE_EOF. */
export function encodeOk(message: Partial<OkMessage>, header: number = FIRST_BYTE.ok): Buffer {
  const { affectedRows = 0n, lastInsertId = 0n, status = 0, warnings = 0, info = '' } = message;
  const writer = new Writer(16 + info.length).int1(header).lenenc(affectedRows).lenenc(lastInsertId);
  const { sessionState } = message;
  if (sessionState !== undefined) {
    writer.int2(status | STATUS.SESSION_STATE_CHANGED).int2(warnings);
    return writer.lenencText(info).lenencBytes(sessionState).finish();
  }
  writer.int2(status).int2(warnings);
  // What libmysql reads, and servers send: the text has its length before it.
  return (info === '' ? writer : writer.lenencText(info)).finish();
}

export function decodeOk(payload: Buffer): OkMessage {
  const reader = new Reader(payload, 'OK', 1);
  const affectedRows = reader.lenenc();
  const lastInsertId = reader.lenenc();
  const status = reader.int2();
  const warnings = reader.int2();
  const info = reader.remaining === 0 ? '' : reader.lenencText();
  return { affectedRows, lastInsertId, status, warnings, info };
}

/** `ff, errno: 2, '#', SQL state: 5, message`. */
export interface ErrMessage {
  readonly errno: number;
  readonly sqlstate: string;
  readonly message: string;
}

export function encodeErr({ errno, sqlstate, message }: ErrMessage): Buffer {
  return new Writer(16 + message.length)
    .int1(FIRST_BYTE.error)
    .int2(errno)
    .text(`#${sqlstate.padEnd(5).slice(0, 5)}`)
    .text(message)
    .finish();
}

/** Before the handshake's end a server leaves the SQL state out. */
export function decodeErr(payload: Buffer): ErrMessage {
  const reader = new Reader(payload, 'ERR', 1);
  const errno = reader.int2();
  const rest = reader.rest();
  if (rest[0] !== 0x23 || rest.length < 6) return { errno, sqlstate: 'HY000', message: rest.toString() };
  return { errno, sqlstate: rest.toString('latin1', 1, 6), message: rest.toString('utf8', 6) };
}

/** Errors behind which the server ends the connection. */
const FATAL_ERRNOS: ReadonlySet<number> = new Set([
  1053, // server shutdown in progress
  1159, // timeout reading communication packets
  1161, // timeout writing communication packets
  1927, // connection was killed (MariaDB)
  3169, // session was killed (MySQL)
  4031, // disconnected for inactivity (MySQL 8)
]);

/** `frame`: the whole packet with its header. */
export function serverError(payload: Buffer, frame: Buffer): ServerError & { readonly errno: number } {
  const { errno, sqlstate, message } = decodeErr(payload);
  return { errno, sqlstate, message, frame: Buffer.from(frame), isFatal: FATAL_ERRNOS.has(errno) };
}

/** `fe, warnings: 2, status: 2`. */
export function encodeEof(status: number, warnings = 0): Buffer {
  return new Writer(5).int1(FIRST_BYTE.eof).int2(warnings).int2(status).finish();
}

export function decodeEof(payload: Buffer): { readonly status: number; readonly warnings: number } {
  const reader = new Reader(payload, 'EOF', 1);
  const warnings = reader.int2();
  return { warnings, status: reader.int2() };
}

/** What a column definition says that a ResultColumn has no place for. */
export interface ColumnOrigin {
  readonly schema: string;
  readonly table: string;
  readonly originalTable: string;
  readonly originalName: string;
}

const NO_METADATA = Buffer.of(0);
const NOTHING = Buffer.alloc(0);
/** What a definition ends with: everything behind the length of these bytes. */
const FIXED_BYTES = 12;

const NOWHERE: ColumnOrigin = { schema: '', table: '', originalTable: '', originalName: '' };

/**
 * Column definition (protocol 41): `catalog, schema, table, org_table, name, org_name: lenenc strings; [extended metadata: lenenc bytes,]
 * 0x0c, character set: 2, length: 4, type: 1, flags: 2, decimals: 1, 0: 2`. `isExtended`: with the metadata, of which there is none.
 */
export function encodeColumn(
  column: ResultColumn,
  origin: ColumnOrigin = NOWHERE,
  isExtended = false,
): Buffer {
  return new Writer(48 + column.name.length)
    .lenencText('def')
    .lenencText(origin.schema)
    .lenencText(origin.table)
    .lenencText(origin.originalTable)
    .lenencText(column.name)
    .lenencText(origin.originalName)
    .bytes(isExtended ? NO_METADATA : NOTHING)
    .lenenc(12)
    .int2(column.tableOid)
    .int4(column.typeSize)
    .int1(column.typeOid & 0xff)
    .int2(column.typeModifier)
    .int1(column.columnNumber)
    .int2(0)
    .finish();
}

/** Keeps a copy of the payload as `definition`, so that it can be told again as it is, its extended metadata too. */
export function decodeColumn(payload: Buffer): ResultColumn & { readonly definition: Buffer } {
  const reader = new Reader(payload, 'column definition');
  for (let field = 0; field < 4; field++) reader.lenencBytes();
  const name = reader.lenencText();
  reader.offset = fixedAt(payload, payload.length);
  const tableOid = reader.int2();
  const typeSize = reader.int4();
  const type = reader.int1();
  const typeModifier = reader.int2();
  const isUnsigned = (typeModifier & FIELD_FLAG.UNSIGNED) !== 0;
  return {
    name,
    typeOid: isUnsigned ? type | UNSIGNED_TYPE : type,
    tableOid,
    typeSize,
    typeModifier,
    columnNumber: reader.int1(),
    definition: Buffer.from(payload),
  };
}

function fixedAt(definition: Buffer, end: number): number {
  if (definition[end - FIXED_BYTES - 1] === FIXED_BYTES) return end - FIXED_BYTES;
  throw new OperatingError('protocol-violation', 'column definition is cut short');
}

/** The definition of a server without extended metadata, as a client wants it that has it. */
export function withoutMetadata(payload: Buffer): Buffer {
  const at = fixedAt(payload, payload.length) - 1;
  return Buffer.concat([payload.subarray(0, at), NO_METADATA, payload.subarray(at)]);
}

/** Names another collation in the definition of a text, in place, where it is one of the same character set. `end`: of the definition in the buffer. */
export function nameCollation(packet: Buffer, end: number, collationId: number): void {
  const at = fixedAt(packet, end);
  const set = characterSetOf(packet.readUInt16LE(at));
  if (set !== undefined && set === characterSetOf(collationId)) packet.writeUInt16LE(collationId, at);
}

/** Column count of a result set, or how many definitions follow. */
export function encodeColumnCount(count: number): Buffer {
  return new Writer(9).lenenc(count).finish();
}

/** Counts of columns are two bytes elsewhere in the protocol; no server allows as many. */
const MAX_COLUMNS = 0xffff;

export function decodeColumnCount(payload: Buffer): number {
  if (payload.length === 1 && payload[0]! < NULL_MARK) return payload[0]!;
  const count = new Reader(payload, 'column count').lenenc();
  if (count <= BigInt(MAX_COLUMNS)) return Number(count);
  throw new OperatingError('protocol-violation', `a result of ${count} columns is not possible`);
}

/** Text row: `lenenc string or fb` for each column. */
export function encodeTextRow(fields: RowFields): Buffer {
  const writer = new Writer(16 + fields.reduce((bytes, field) => bytes + 9 + (field?.length ?? 0), 0));
  for (const field of fields) {
    if (field === undefined) writer.int1(NULL_MARK);
    else writer.lenencBytes(field);
  }
  return writer.finish();
}

/** Slices of `payload`. */
export function decodeTextRow(payload: Buffer, columns: number): (Buffer | undefined)[] {
  const reader = new Reader(payload, 'text row');
  const fields = Array.from({ length: columns }, () => reader.lenencBytesOrNull());
  reader.end();
  return fields;
}

/** Bit of column 0 in the NULL bitmap of a binary row. */
const ROW_BITMAP_OFFSET = 2;

/** Binary row: `00, NULL bitmap: (n + 7 + 2) / 8, values`. Fields are values as `readBinaryValue` gives them. */
export function encodeBinaryRow(fields: RowFields, types: readonly number[]): Buffer {
  const writer = new Writer(16 + fields.reduce((bytes, field) => bytes + 9 + (field?.length ?? 0), 0));
  writer.int1(0).bytes(nullBitmap(fields, ROW_BITMAP_OFFSET));
  fields.forEach((field, index) => {
    if (field !== undefined) writeBinaryValue(writer, types[index]!, field);
  });
  return writer.finish();
}

/** Slices of `payload`. `types`: type codes (or `typeOid`s) of the columns. */
export function decodeBinaryRow(payload: Buffer, types: readonly number[]): (Buffer | undefined)[] {
  const reader = new Reader(payload, 'binary row', 1);
  const bitmap = reader.bytes(bitmapBytes(types.length, ROW_BITMAP_OFFSET));
  const fields = types.map((type, index) =>
    isNull(bitmap, index + ROW_BITMAP_OFFSET) ? undefined : readBinaryValue(reader, type),
  );
  reader.end();
  return fields;
}

/** One value of the binary protocol. Where the value has a length before it (texts, numerics, dates, times), the bytes are those behind it. */
export function readBinaryValue(reader: Reader, type: number): Buffer {
  const size = binarySize(type);
  return size === undefined ? reader.lenencBytes() : reader.bytes(size);
}

export function writeBinaryValue(writer: Writer, type: number, value: Buffer): void {
  if (binarySize(type) === undefined) writer.lenencBytes(value);
  else writer.bytes(value);
}

/** Bytes of a type whose values are all equally long in the binary protocol. */
function binarySize(type: number): number | undefined {
  switch (type & 0xff) {
    case FIELD_TYPE.NULL:
      return 0;
    case FIELD_TYPE.TINY:
      return 1;
    case FIELD_TYPE.SHORT:
    case FIELD_TYPE.YEAR:
      return 2;
    case FIELD_TYPE.LONG:
    case FIELD_TYPE.INT24:
    case FIELD_TYPE.FLOAT:
      return 4;
    case FIELD_TYPE.LONGLONG:
    case FIELD_TYPE.DOUBLE:
      return 8;
    default:
      return undefined;
  }
}

/** `offset`: bits before the first field's; 2 in rows, 0 in COM_STMT_EXECUTE. */
function nullBitmap(fields: RowFields, offset: number): Buffer {
  const bitmap = Buffer.alloc(bitmapBytes(fields.length, offset));
  fields.forEach((field, index) => {
    const bit = index + offset;
    if (field === undefined) bitmap[bit >> 3]! |= 1 << (bit & 7);
  });
  return bitmap;
}

export function bitmapBytes(count: number, offset: number): number {
  return (count + 7 + offset) >> 3;
}

export function isNull(bitmap: Buffer, bit: number): boolean {
  return (bitmap[bit >> 3]! & (1 << (bit & 7))) !== 0;
}

/** `00, statement id: 4, columns: 2, parameters: 2, 00, warnings: 2`; parameter definitions and an EOF, column definitions and an EOF follow where there are any. */
export interface PrepareOk {
  readonly statementId: number;
  readonly columns: number;
  readonly parameters: number;
  readonly warnings: number;
}

export function encodePrepareOk(message: PrepareOk): Buffer {
  return new Writer(12)
    .int1(0)
    .int4(message.statementId)
    .int2(message.columns)
    .int2(message.parameters)
    .int1(0)
    .int2(message.warnings)
    .finish();
}

export function decodePrepareOk(payload: Buffer): PrepareOk {
  const reader = new Reader(payload, 'COM_STMT_PREPARE_OK', 1);
  const statementId = reader.int4();
  const columns = reader.int2();
  const parameters = reader.int2();
  reader.int1();
  return { statementId, columns, parameters, warnings: reader.int2() };
}
