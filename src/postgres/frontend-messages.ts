import { isUtf8 } from 'node:buffer';
import { OperatingError } from '../lib/errors.js';
import {
  type Bind,
  type Execute,
  FRONTEND,
  type Named,
  type Parse,
  type SASLInitialResponse,
  STARTUP_CODE,
  type StartupPacket,
} from './messages.js';
import { Cursor, emptyMessage, endOfText, HEADER_BYTES, Writer } from './wire.js';

/** Codecs of what a client sends, for both roles: a frame is one whole message with its header. No I/O, no state. */

export const SYNC = emptyMessage(FRONTEND.Sync);
export const FLUSH = emptyMessage(FRONTEND.Flush);
export const TERMINATE = emptyMessage(FRONTEND.Terminate);
export const COPY_DONE = emptyMessage(FRONTEND.CopyDone);

// Query: 'Q' length text\0
export function encodeQuery(sql: string): Buffer {
  return new Writer(FRONTEND.Query, sql.length + 16).text(sql).finish();
}

export function decodeQuery(frame: Buffer): string {
  const cursor = new Cursor(frame, 'Query');
  const sql = cursor.text();
  cursor.end();
  return sql;
}

// Parse: 'P' length name\0 text\0 count(16) {typeOid(32)}*
export function encodeParse(name: string, sql: string | Buffer, parameterTypes: readonly number[]): Buffer {
  const writer = new Writer(FRONTEND.Parse, name.length + sql.length + 16 + 4 * parameterTypes.length);
  writer.text(name);
  if (typeof sql === 'string') writer.text(sql);
  else writer.bytes(sql).byte(0);
  writer.int16(parameterTypes.length);
  for (const oid of parameterTypes) writer.int32(oid);
  return writer.finish();
}

export function decodeParse(frame: Buffer): Parse {
  const cursor = new Cursor(frame, 'Parse');
  const name = cursor.name();
  const start = cursor.offset;
  const end = cursor.textEnd();
  const sql = frame.toString('utf8', start, end);
  const bytes =
    sql.includes('\ufffd') && !isUtf8(frame.subarray(start, end))
      ? Buffer.from(frame.subarray(start, end))
      : undefined;
  const count = cursor.count(4);
  const parameterTypes: number[] = [];
  for (let index = 0; index < count; index++) parameterTypes.push(cursor.uint32());
  cursor.end();
  return { type: 'Parse', name, sql, bytes, parameterTypes };
}

export interface BindFields {
  readonly portal: string;
  readonly statement: string;
  readonly parameterFormats: readonly number[];
  readonly parameters: readonly (Buffer | undefined)[];
  readonly resultFormats: readonly number[];
}

// Bind: 'B' length portal\0 statement\0 count(16) {format(16)}* count(16) {length(32) bytes | -1}* count(16) {resultFormat(16)}*
export function encodeBind(fields: BindFields): Buffer {
  const writer = new Writer(FRONTEND.Bind, 64 + 12 * fields.parameters.length);
  writer.text(fields.portal).text(fields.statement).int16(fields.parameterFormats.length);
  for (const format of fields.parameterFormats) writer.int16(format);
  writer.int16(fields.parameters.length);
  for (const value of fields.parameters) {
    if (value === undefined) writer.int32(-1);
    else writer.int32(value.length).bytes(value);
  }
  writer.int16(fields.resultFormats.length);
  for (const format of fields.resultFormats) writer.int16(format);
  return writer.finish();
}

export function decodeBind(frame: Buffer): Bind {
  const cursor = new Cursor(frame, 'Bind');
  const portal = cursor.name();
  const statement = cursor.name();
  const parameterFormats = formats(cursor);
  const count = cursor.count(4);
  const parameterOffsets: number[] = [];
  for (let index = 0; index < count; index++) {
    parameterOffsets.push(cursor.offset);
    const length = cursor.int32();
    if (length < -1)
      throw new OperatingError('protocol-violation', 'Bind message has a value of negative length');
    if (length > 0) cursor.bytes(length);
  }
  const resultFormats = formats(cursor);
  cursor.end();
  return { type: 'Bind', portal, statement, parameterFormats, parameterOffsets, resultFormats };
}

/**
 * The same Bind for a statement of another name (ASCII), as the pieces to write: the values, which may be large, are not copied.
 */
export function renameBind(frame: Buffer, name: string): [Buffer, Buffer] {
  const nameAt = endOfText(frame, HEADER_BYTES) + 1;
  const rest = frame.subarray(endOfText(frame, nameAt) + 1);
  const head = Buffer.allocUnsafe(nameAt + name.length + 1);
  for (let at = 0; at < nameAt; at++) head[at] = frame[at]!;
  for (let at = 0; at < name.length; at++) head[nameAt + at] = name.charCodeAt(at);
  head[nameAt + name.length] = 0;
  head.writeInt32BE(head.length - 1 + rest.length, 1);
  return [head, rest];
}

function formats(cursor: Cursor): number[] {
  const count = cursor.count(2);
  const list: number[] = [];
  for (let index = 0; index < count; index++) {
    const format = cursor.int16();
    if (format !== 0 && format !== 1)
      throw new OperatingError('protocol-violation', `unsupported format code: ${format}`);
    list.push(format);
  }
  return list;
}

// Describe: 'D' length ('S'|'P') name\0      Close: 'C' length ('S'|'P') name\0
export function encodeDescribe(target: Named['target'], name: string): Buffer {
  return encodeNamed(FRONTEND.Describe, target, name);
}

export function encodeClose(target: Named['target'], name: string): Buffer {
  return encodeNamed(FRONTEND.Close, target, name);
}

function encodeNamed(code: number, target: Named['target'], name: string): Buffer {
  return new Writer(code, name.length + 8)
    .byte(target === 'statement' ? 0x53 : 0x50)
    .text(name)
    .finish();
}

export function decodeNamed(frame: Buffer, message: 'Describe' | 'Close'): Named {
  const cursor = new Cursor(frame, message);
  const letter = cursor.byte();
  if (letter !== 0x53 && letter !== 0x50) {
    throw new OperatingError(
      'protocol-violation',
      `invalid ${message.toUpperCase()} message subtype ${letter}`,
    );
  }
  const name = cursor.name();
  cursor.end();
  return { target: letter === 0x53 ? 'statement' : 'portal', name };
}

// Execute: 'E' length portal\0 maxRows(32)
export function encodeExecute(portal: string, maxRows: number): Buffer {
  return new Writer(FRONTEND.Execute, portal.length + 8).text(portal).int32(maxRows).finish();
}

export function decodeExecute(frame: Buffer): Execute {
  const cursor = new Cursor(frame, 'Execute');
  const portal = cursor.name();
  const maxRows = cursor.int32();
  cursor.end();
  // A negative number means all, as the server takes it.
  return { type: 'Execute', portal, maxRows: Math.max(0, maxRows) };
}

// FunctionCall: 'F' length functionOid(32) count(16) {format(16)}* count(16) {length(32) bytes | -1}* resultFormat(16)
export function encodeFunctionCall(functionOid: number, args: readonly (Buffer | undefined)[]): Buffer {
  const writer = new Writer(FRONTEND.FunctionCall).int32(functionOid).int16(1).int16(1).int16(args.length);
  for (const value of args) {
    if (value === undefined) writer.int32(-1);
    else writer.int32(value.length).bytes(value);
  }
  return writer.int16(1).finish();
}

// CopyData: 'd' length bytes      CopyFail: 'f' length reason\0
export function encodeCopyData(bytes: Uint8Array): Buffer {
  return new Writer(FRONTEND.CopyData, bytes.length).bytes(bytes).finish();
}

export function encodeCopyFail(reason: string): Buffer {
  return new Writer(FRONTEND.CopyFail, reason.length + 1).text(reason).finish();
}

// PasswordMessage: 'p' length password\0
export function encodePassword(password: string): Buffer {
  return new Writer(FRONTEND.Password).text(password).finish();
}

export function decodePassword(frame: Buffer): string {
  const cursor = new Cursor(frame, 'PasswordMessage');
  const password = cursor.text();
  cursor.end();
  return password;
}

// SASLInitialResponse: 'p' length mechanism\0 (length(32) bytes | -1)      SASLResponse: 'p' length bytes
export function encodeSASLInitialResponse(mechanism: string, response: Buffer): Buffer {
  return new Writer(FRONTEND.Password).text(mechanism).int32(response.length).bytes(response).finish();
}

export function decodeSASLInitialResponse(frame: Buffer): SASLInitialResponse {
  const cursor = new Cursor(frame, 'SASLInitialResponse');
  const mechanism = cursor.text();
  const length = cursor.int32();
  const response = length === -1 ? undefined : cursor.bytes(length);
  cursor.end();
  return { mechanism, response };
}

export function encodeSASLResponse(response: Uint8Array): Buffer {
  return new Writer(FRONTEND.Password, response.length).bytes(response).finish();
}

// StartupMessage: length version(32) {name\0 value\0}* \0
export function encodeStartupMessage(
  parameters: ReadonlyMap<string, string>,
  version: number = STARTUP_CODE.Protocol30,
): Buffer {
  const writer = new Writer(undefined, 128).int32(version);
  for (const [name, value] of parameters) writer.text(name).text(value);
  return writer.byte(0).finish();
}

// SSLRequest, GSSENCRequest: length(8) code(32)
export function encodeSSLRequest(): Buffer {
  return new Writer(undefined, 8).int32(STARTUP_CODE.SSLRequest).finish();
}

// CancelRequest: length code(32) processId(32) secretKey (4 bytes in 3.0, up to 256 in 3.2)
export function encodeCancelRequest(processId: number, secretKey: Buffer): Buffer {
  return new Writer(undefined, 16)
    .int32(STARTUP_CODE.CancelRequest)
    .int32(processId)
    .bytes(secretKey)
    .finish();
}

/** `packet` is whole, with its length word. */
export function decodeStartupPacket(packet: Buffer): StartupPacket {
  const cursor = new Cursor(packet, 'startup', 4);
  const code = cursor.int32();
  if (code === STARTUP_CODE.SSLRequest || code === STARTUP_CODE.GSSENCRequest) {
    cursor.end();
    return { type: code === STARTUP_CODE.SSLRequest ? 'SSLRequest' : 'GSSENCRequest' };
  }
  if (code === STARTUP_CODE.CancelRequest) {
    const processId = cursor.int32();
    if (cursor.remaining === 0 || cursor.remaining > 256)
      throw new OperatingError('protocol-violation', 'CancelRequest has a key of wrong length');
    return { type: 'CancelRequest', processId, secretKey: Buffer.from(cursor.rest()) };
  }
  const major = (code >> 16) & 0xffff;
  const minor = code & 0xffff;
  if (major !== 3) return { type: 'StartupMessage', major, minor, parameters: new Map() };
  return { type: 'StartupMessage', major, minor, parameters: startupParameters(cursor) };
}

function startupParameters(cursor: Cursor): Map<string, string> {
  const parameters = new Map<string, string>();
  for (;;) {
    const name = cursor.text();
    if (name === '') break;
    parameters.set(name, cursor.text());
  }
  cursor.end();
  return parameters;
}
