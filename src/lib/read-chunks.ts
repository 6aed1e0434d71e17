import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** What is read of sockets that have little to say goes here first; it is copied before the next read. */
const READ_BYTES = 64 * 1024;
/** A read of more than this is handed on as it is, in memory of its own. */
const WORTH_OWNING_BYTES = 16 * 1024;
/** Most memory that waits to be read into again, in pieces of READ_BYTES. */
const MOST_FREE = 64;

type OnChunk = (chunk: Buffer) => void;

/** What Node keeps of the option `onread` of `net.connect`. */
interface UserBufferKeys {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
}

type InternalSocket = Socket & { [key: symbol]: unknown } & {
  readonly _handle?: { useUserBuffer?(buffer: Uint8Array): void; reading?: boolean } | null;
};

const shared = Buffer.allocUnsafeSlow(READ_BYTES);
/** What is copied of it, by length: most reads are short, and a new view of it costs as much as the copy. */
const views: (Buffer | undefined)[] = [];
const MOST_VIEWED_BYTES = 1024;
let keys: UserBufferKeys | undefined | 'unknown' = 'unknown';
/** Chunks whose memory is free when they are written. */
const onlyWritten = new WeakSet<Buffer>();
const free: Buffer[] = [];

/**
 * Tells `onChunk` all that comes over a socket from now on, as 'data' would; pause and resume as ever. Chunks are the listener's
 * to keep.
 *
 * A stream allocates 64 KB for each read and goes through the buffer of a Readable. Node can read into memory of ours
 * instead, but offers it for sockets that connect only (`onread` of net.connect), while most of ours are accepted; so
 * what that option sets is set here. Where it cannot be (TLS, a Node that has it otherwise) the stream's events serve.
 * Returns whether memory of ours is used.
 */
export function readChunks(socket: Socket, onChunk: OnChunk): boolean {
  // What is in the stream's own buffer already comes this way, too.
  socket.on('data', onChunk);
  const inner = socket as InternalSocket;
  const handle = inner._handle;
  if (keys === 'unknown') keys = userBufferKeys(inner);
  if (keys === undefined || socket instanceof TLSSocket || typeof handle?.useUserBuffer !== 'function')
    return false;
  const isReading = handle.reading === true;
  let own: Buffer | undefined;
  inner[keys.callback] = (length: number, buffer: Buffer): boolean => {
    const isTaken = length > WORTH_OWNING_BYTES && buffer === own;
    onChunk(isTaken ? buffer.subarray(0, length) : copyOf(buffer, length));
    // Who sends much gets memory of its own, which is handed on uncopied (half as much time per MiB); the others share one.
    if (length <= WORTH_OWNING_BYTES) own = undefined;
    else if (isTaken || own === undefined) own = free.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
    return true;
  };
  inner[keys.generator] = () => {
    const next = own ?? shared;
    return next === inner[(keys as UserBufferKeys).buffer] ? undefined : next;
  };
  inner[keys.buffer] = shared;
  handle.useUserBuffer(shared);
  // Reading may go on while the stream is paused: then its own buffer took it.
  if (isReading && !socket.readableFlowing) socket.pause();
  return true;
}

/**
 * Says of a whole chunk that nobody has it or any part of it but the socket that it is about to be sent to. Its memory is read
 * into again once it is written: new memory for each read makes V8 mark the whole heap every 64 MB (its limit for what lies outside
 * of it), which was three quarters of the time that a large result took.
 */
export function onlyToBeWritten(chunk: Buffer): void {
  if (chunk.length > WORTH_OWNING_BYTES && chunk.buffer.byteLength === READ_BYTES) onlyWritten.add(chunk);
}

/** What is to be called when the chunk is written, if its memory is free then. */
export function whenWritten(chunk: Buffer): (() => void) | undefined {
  if (chunk.length <= WORTH_OWNING_BYTES || !onlyWritten.delete(chunk)) return undefined;
  return () => {
    if (free.length < MOST_FREE) free.push(Buffer.from(chunk.buffer));
  };
}

function copyOf(buffer: Buffer, length: number): Buffer {
  const copy = Buffer.allocUnsafe(length);
  copy.set(buffer === shared && length <= MOST_VIEWED_BYTES ? viewOf(length) : buffer.subarray(0, length));
  return copy;
}

function viewOf(length: number): Buffer {
  let view = views[length];
  if (view === undefined) {
    view = shared.subarray(0, length);
    views[length] = view;
  }
  return view;
}

function userBufferKeys(socket: object): UserBufferKeys | undefined {
  const named = (name: string) =>
    Object.getOwnPropertySymbols(socket).find(({ description }) => description === name);
  const [buffer, callback, generator] = [named('kBuffer'), named('kBufferCb'), named('kBufferGen')];
  return buffer === undefined || callback === undefined || generator === undefined
    ? undefined
    : { buffer, callback, generator };
}
