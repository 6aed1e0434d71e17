import { OperatingError } from '../lib/errors.js';
import type { ResultColumn, RowFields, ServerError, TransactionStatus } from '../pool/backend.js';
import { type Authentication, BACKEND } from './messages.js';
import { Cursor, emptyMessage, HEADER_BYTES, Writer } from './wire.js';

/** Codecs of what a server sends, for both roles: a frame is one whole message with its header. No I/O, no state. */

export const PARSE_COMPLETE = emptyMessage(BACKEND.ParseComplete);
export const BIND_COMPLETE = emptyMessage(BACKEND.BindComplete);
export const CLOSE_COMPLETE = emptyMessage(BACKEND.CloseComplete);
export const NO_DATA = emptyMessage(BACKEND.NoData);
export const PORTAL_SUSPENDED = emptyMessage(BACKEND.PortalSuspended);
export const EMPTY_QUERY_RESPONSE = emptyMessage(BACKEND.EmptyQueryResponse);
export const BACKEND_COPY_DONE = emptyMessage(BACKEND.CopyDone);

// Authentication*: 'R' length kind(32) …
const AUTHENTICATION = {
  Ok: 0,
  CleartextPassword: 3,
  MD5Password: 5,
  SASL: 10,
  SASLContinue: 11,
  SASLFinal: 12,
} as const;

export function encodeAuthenticationOk(): Buffer {
  return new Writer(BACKEND.Authentication, 4).int32(AUTHENTICATION.Ok).finish();
}

export function encodeAuthenticationCleartextPassword(): Buffer {
  return new Writer(BACKEND.Authentication, 4).int32(AUTHENTICATION.CleartextPassword).finish();
}

export function encodeAuthenticationMD5Password(salt: Buffer): Buffer {
  return new Writer(BACKEND.Authentication, 8).int32(AUTHENTICATION.MD5Password).bytes(salt).finish();
}

export function encodeAuthenticationSASL(mechanisms: readonly string[]): Buffer {
  const writer = new Writer(BACKEND.Authentication).int32(AUTHENTICATION.SASL);
  for (const mechanism of mechanisms) writer.text(mechanism);
  return writer.byte(0).finish();
}

export function encodeAuthenticationSASLData(step: 'SASLContinue' | 'SASLFinal', data: Uint8Array): Buffer {
  return new Writer(BACKEND.Authentication, data.length + 4).int32(AUTHENTICATION[step]).bytes(data).finish();
}

export function decodeAuthentication(frame: Buffer): Authentication {
  const cursor = new Cursor(frame, 'Authentication');
  switch (cursor.int32()) {
    case AUTHENTICATION.Ok:
      return { type: 'Ok' };
    case AUTHENTICATION.CleartextPassword:
      return { type: 'CleartextPassword' };
    case AUTHENTICATION.MD5Password:
      return { type: 'MD5Password', salt: cursor.bytes(4) };
    case AUTHENTICATION.SASL: {
      const mechanisms: string[] = [];
      for (let name = cursor.text(); name !== ''; name = cursor.text()) mechanisms.push(name);
      return { type: 'SASL', mechanisms };
    }
    case AUTHENTICATION.SASLContinue:
      return { type: 'SASLContinue', data: cursor.rest() };
    case AUTHENTICATION.SASLFinal:
      return { type: 'SASLFinal', data: cursor.rest() };
    default:
      return { type: 'Unsupported' };
  }
}

// BackendKeyData: 'K' length processId(32) secretKey
export function encodeBackendKeyData(processId: number, secretKey: Buffer): Buffer {
  return new Writer(BACKEND.BackendKeyData, 8).int32(processId).bytes(secretKey).finish();
}

export function decodeBackendKeyData(frame: Buffer): { processId: number; secretKey: Buffer } {
  const cursor = new Cursor(frame, 'BackendKeyData');
  return { processId: cursor.int32(), secretKey: Buffer.from(cursor.rest()) };
}

// NegotiateProtocolVersion: 'v' length newestMinor(32) count(32) {option\0}*
export function encodeNegotiateProtocolVersion(version: number, options: readonly string[]): Buffer {
  const writer = new Writer(BACKEND.NegotiateProtocolVersion).int32(version).int32(options.length);
  for (const option of options) writer.text(option);
  return writer.finish();
}

// ParameterStatus: 'S' length name\0 value\0
export function encodeParameterStatus(name: string, value: string): Buffer {
  return new Writer(BACKEND.ParameterStatus).text(name).text(value).finish();
}

export function decodeParameterStatus(frame: Buffer): [name: string, value: string] {
  const cursor = new Cursor(frame, 'ParameterStatus');
  return [cursor.text(), cursor.text()];
}

// ReadyForQuery: 'Z' length ('I'|'T'|'E')
const READY: Record<TransactionStatus, Buffer> = {
  idle: new Writer(BACKEND.ReadyForQuery, 1).byte(0x49).finish(),
  open: new Writer(BACKEND.ReadyForQuery, 1).byte(0x54).finish(),
  failed: new Writer(BACKEND.ReadyForQuery, 1).byte(0x45).finish(),
};

export function encodeReadyForQuery(status: TransactionStatus): Buffer {
  return READY[status];
}

export function decodeReadyForQuery(letter: number | undefined): TransactionStatus {
  if (letter === 0x49) return 'idle';
  if (letter === 0x54) return 'open';
  if (letter === 0x45) return 'failed';
  throw new OperatingError('protocol-violation', 'ReadyForQuery message has an unknown transaction status');
}

// CommandComplete: 'C' length tag\0
export function encodeCommandComplete(tag: string): Buffer {
  return new Writer(BACKEND.CommandComplete, tag.length + 1).text(tag).finish();
}

export function decodeCommandComplete(frame: Buffer): string {
  return new Cursor(frame, 'CommandComplete').name();
}

// ErrorResponse: 'E' length {letter text\0}* \0      NoticeResponse: 'N', the same
export function encodeError(error: OperatingError, severity: 'ERROR' | 'FATAL'): Buffer {
  const { sqlstate, message, detail, hint } = error;
  return encodeReport(BACKEND.ErrorResponse, {
    S: severity,
    V: severity,
    C: sqlstate,
    M: message,
    D: detail,
    H: hint,
  });
}

export function encodeNotice(message: string, sqlstate: string): Buffer {
  return encodeReport(BACKEND.NoticeResponse, { S: 'WARNING', V: 'WARNING', C: sqlstate, M: message });
}

/** An error or a notice with these fields (manual 55.8), in this order. */
export function encodeReport(code: number, fields: Readonly<Record<string, string | undefined>>): Buffer {
  const writer = new Writer(code, 256);
  for (const [letter, value] of Object.entries(fields)) {
    // A zero byte would end the field early.
    if (value !== undefined) writer.byte(letter.charCodeAt(0)).text(value.replaceAll('\0', ''));
  }
  return writer.byte(0).finish();
}

/** All fields by their letters (manual 55.8). */
export function decodeReport(frame: Buffer): Map<string, string> {
  const cursor = new Cursor(frame, 'ErrorResponse');
  const fields = new Map<string, string>();
  for (let letter = cursor.byte(); letter !== 0; letter = cursor.byte())
    fields.set(String.fromCharCode(letter), cursor.text());
  return fields;
}

/** Keeps a copy of the frame: errors outlive the turn. */
export function decodeError(frame: Buffer): ServerError {
  const fields = decodeReport(frame);
  const severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
  return {
    sqlstate: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '',
    frame: Buffer.from(frame),
    isFatal: severity === 'FATAL' || severity === 'PANIC',
  };
}

// ParameterDescription: 't' length count(16) {typeOid(32)}*
export function encodeParameterDescription(typeOids: readonly number[]): Buffer {
  const writer = new Writer(BACKEND.ParameterDescription, 2 + 4 * typeOids.length).int16(typeOids.length);
  for (const oid of typeOids) writer.int32(oid);
  return writer.finish();
}

export function decodeParameterDescription(frame: Buffer): number[] {
  const cursor = new Cursor(frame, 'ParameterDescription');
  const count = cursor.count(4);
  const oids: number[] = [];
  for (let index = 0; index < count; index++) oids.push(cursor.uint32());
  return oids;
}

// RowDescription: 'T' length count(16) {name\0 table(32) column(16) type(32) size(16) modifier(32) format(16)}*
export function encodeRowDescription(columns: readonly ResultColumn[], formats: readonly number[]): Buffer {
  const writer = new Writer(BACKEND.RowDescription, 2 + 40 * columns.length).int16(columns.length);
  columns.forEach((column, index) => {
    const format = formats.length === 1 ? formats[0]! : (formats[index] ?? 0);
    writer.text(column.name).int32(column.tableOid).int16(column.columnNumber).int32(column.typeOid);
    writer.int16(column.typeSize).int32(column.typeModifier).int16(format);
  });
  return writer.finish();
}

export function decodeRowDescription(frame: Buffer): ResultColumn[] {
  const cursor = new Cursor(frame, 'RowDescription');
  const count = cursor.count(19);
  const columns: ResultColumn[] = [];
  for (let index = 0; index < count; index++) {
    const name = cursor.text();
    const tableOid = cursor.uint32();
    const columnNumber = cursor.int16();
    const typeOid = cursor.uint32();
    columns.push({
      name,
      tableOid,
      columnNumber,
      typeOid,
      typeSize: cursor.int16(),
      typeModifier: cursor.int32(),
    });
    cursor.int16();
  }
  return columns;
}

// DataRow: 'D' length count(16) {length(32) bytes | -1}*
export function encodeDataRow(fields: RowFields): Buffer {
  let size = HEADER_BYTES + 2;
  for (const field of fields) size += 4 + (field?.length ?? 0);
  const frame = Buffer.allocUnsafe(size);
  frame[0] = BACKEND.DataRow;
  frame.writeInt32BE(size - 1, 1);
  let offset = frame.writeUInt16BE(fields.length, HEADER_BYTES);
  for (const field of fields) {
    offset = frame.writeInt32BE(field === undefined ? -1 : field.length, offset);
    if (field !== undefined) offset += field.copy(frame, offset);
  }
  return frame;
}

/** Fields are slices of the frame. */
export function decodeDataRow(frame: Buffer): (Buffer | undefined)[] {
  const cursor = new Cursor(frame, 'DataRow');
  const count = cursor.count(4);
  const fields: (Buffer | undefined)[] = [];
  for (let index = 0; index < count; index++) {
    const length = cursor.int32();
    fields.push(length === -1 ? undefined : cursor.bytes(length));
  }
  return fields;
}

// CopyInResponse: 'G', CopyOutResponse: 'H', CopyBothResponse: 'W': length format(8) count(16) {format(16)}*
export function encodeCopyResponse(direction: 'in' | 'out', format: number, columnCount: number): Buffer {
  const code = direction === 'in' ? BACKEND.CopyInResponse : BACKEND.CopyOutResponse;
  const writer = new Writer(code, 3 + 2 * columnCount).byte(format).int16(columnCount);
  for (let index = 0; index < columnCount; index++) writer.int16(format);
  return writer.finish();
}

// NotificationResponse: 'A' length processId(32) channel\0 payload\0
export function encodeNotification(processId: number, channel: string, payload: string): Buffer {
  return new Writer(BACKEND.NotificationResponse).int32(processId).text(channel).text(payload).finish();
}
