import { readFile } from 'node:fs/promises';
import { connect, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';

/** Connects in the role of a client. Rejects with a plain Error. Closes the socket when it fails or `signal` aborts. */
export async function openSocket(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  await whileAlive(socket, signal, () => happens(socket, 'connect'));
  return socket;
}

/** Runs `act` on a socket that is closed when the act fails or `signal` aborts. */
export async function whileAlive<T>(socket: Socket, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  const abort = () => socket.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    return await act();
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** What is asked of a server's certificate, and what is shown of ours. */
export interface EncryptionWish {
  readonly host: string;
  /** The certificate must come from a trusted authority. */
  readonly isVerified: boolean;
  /** … and name the host. */
  readonly isHostVerified: boolean;
  /** PEM files: trusted authorities (the system's own when undefined), our certificate and its key. */
  readonly rootCert: string | undefined;
  readonly clientCert: string | undefined;
  readonly clientKey: string | undefined;
  readonly protocols?: string[] | undefined;
}

/** TLS on a connection whose server waits for it. */
export async function encryptSocket(socket: Socket, wish: EncryptionWish): Promise<TLSSocket> {
  const secure = connectTls({ ...(await tlsOptions(wish)), socket });
  await happens(secure, 'secureConnect');
  secure.setNoDelay(true);
  return secure;
}

async function tlsOptions(wish: EncryptionWish): Promise<ConnectionOptions> {
  const options: ConnectionOptions = {
    rejectUnauthorized: wish.isVerified,
    minVersion: 'TLSv1.2',
    host: wish.host,
  };
  if (wish.protocols !== undefined) options.ALPNProtocols = wish.protocols;
  if (isIP(wish.host) === 0) options.servername = wish.host;
  if (!wish.isHostVerified) options.checkServerIdentity = () => undefined;
  if (wish.rootCert !== undefined) options.ca = await readFile(wish.rootCert);
  if (wish.clientCert !== undefined) options.cert = await readFile(wish.clientCert);
  if (wish.clientKey !== undefined) options.key = await readFile(wish.clientKey);
  return options;
}

/** Resolves at the event; rejects when the socket fails or closes first. */
export function happens(socket: Socket, event: 'connect' | 'secureConnect' | 'readable'): Promise<void> {
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
