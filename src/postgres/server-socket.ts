import { readFile } from 'node:fs/promises';
import { connect, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { certificateHash } from './certificate-hash.js';
import { encodeSSLRequest } from './frontend-messages.js';
import type { ServerAddress } from './server-address.js';

/** A connection to a server on which nothing has been said yet but SSLRequest. */
export interface ServerSocket {
  readonly socket: Socket;
  readonly isEncrypted: boolean;
  /** For SCRAM-SHA-256-PLUS. */
  readonly certificateHash: Buffer | undefined;
}

/** Connects and encrypts as the address asks. Rejects with a plain Error; the caller names the shard. Closes the socket when it fails or `signal` aborts. */
export async function openServerSocket(address: ServerAddress, signal: AbortSignal): Promise<ServerSocket> {
  signal.throwIfAborted();
  const socket = connect({ host: address.host, port: address.port, noDelay: true, keepAlive: true });
  const abort = () => socket.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    await happens(socket, 'connect');
    if (address.sslMode === 'disable') return { socket, isEncrypted: false, certificateHash: undefined };
    return await encrypt(socket, address);
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function encrypt(socket: Socket, address: ServerAddress): Promise<ServerSocket> {
  socket.write(encodeSSLRequest());
  const answer = await firstByte(socket);
  if (answer === 'N' && address.sslMode === 'prefer')
    return { socket, isEncrypted: false, certificateHash: undefined };
  if (answer !== 'S')
    throw new Error(`the server does not support encryption, but sslmode is ${address.sslMode}`);
  // Bytes sent before the handshake were not encrypted by the server (CVE-2021-23222).
  if (socket.readableLength > 0) throw new Error('received unencrypted data after SSL response');
  const secure = connectTls({ ...(await tlsOptions(address)), socket });
  await happens(secure, 'secureConnect');
  secure.setNoDelay(true);
  return { socket: secure, isEncrypted: true, certificateHash: hashOf(secure) };
}

async function tlsOptions(address: ServerAddress): Promise<ConnectionOptions> {
  const isVerified = address.sslMode === 'verify-ca' || address.sslMode === 'verify-full';
  const options: ConnectionOptions = {
    rejectUnauthorized: isVerified,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['postgresql'],
    host: address.host,
  };
  if (isIP(address.host) === 0) options.servername = address.host;
  if (address.sslMode === 'verify-ca') options.checkServerIdentity = () => undefined;
  if (address.rootCert !== undefined) options.ca = await readFile(address.rootCert);
  if (address.clientCert !== undefined) options.cert = await readFile(address.clientCert);
  if (address.clientKey !== undefined) options.key = await readFile(address.clientKey);
  return options;
}

function hashOf(secure: TLSSocket): Buffer | undefined {
  const certificate = secure.getPeerX509Certificate();
  return certificate === undefined ? undefined : certificateHash(certificate.raw);
}

async function firstByte(socket: Socket): Promise<string> {
  for (;;) {
    const byte = socket.read(1) as Buffer | null;
    if (byte !== null) return byte.toString('latin1');
    await happens(socket, 'readable');
  }
}

/** Resolves at the event; rejects when the socket fails or closes first. */
function happens(socket: Socket, event: 'connect' | 'secureConnect' | 'readable'): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (act: () => void) => {
      socket.off(event, succeeded).off('error', failed).off('close', closed);
      // Whoever takes the socket over listens for errors itself; until then they must not be unheard.
      socket.on('error', () => {});
      act();
    };
    const succeeded = () => end(resolve);
    const failed = (error: Error) => end(() => reject(describe(error)));
    const closed = () => end(() => reject(new Error('the server closed the connection')));
    socket.on(event, succeeded).on('error', failed).on('close', closed);
  });
}

/** With several addresses for one name, Node's error says nothing itself and holds one error each. */
function describe(error: Error): Error {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  return first instanceof Error ? first : error;
}
