import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { encryptSocket, happens, openSocket, whileAlive } from '../lib/client-socket.js';
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
  const socket = await openSocket(address.host, address.port, signal);
  if (address.sslMode === 'disable') return { socket, isEncrypted: false, certificateHash: undefined };
  return whileAlive(socket, signal, () => encrypt(socket, address));
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
  const { host, rootCert, clientCert, clientKey, sslMode } = address;
  const isHostVerified = sslMode === 'verify-full';
  const isVerified = isHostVerified || sslMode === 'verify-ca';
  const wish = { host, isVerified, isHostVerified, rootCert, clientCert, clientKey };
  const secure = await encryptSocket(socket, { ...wish, protocols: ['postgresql'] });
  return { socket: secure, isEncrypted: true, certificateHash: hashOf(secure) };
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
