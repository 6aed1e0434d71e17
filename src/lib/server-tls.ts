import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { asError, OperatingError } from './errors.js';

/** PEM files, and whether clients may come without TLS. */
export interface ServerTlsOptions {
  readonly key: string;
  readonly cert: string;
  /** Asks clients for certificates signed by this. */
  readonly clientCa: string | undefined;
  readonly required: boolean;
}

/** TLS as clients see it: turns accepted sockets into encrypted ones, with our certificate. */
export class ServerTls {
  readonly isRequired: boolean;
  /** Our certificate, DER. */
  readonly certificate: Buffer;
  readonly #server: Server;
  /** By the client's address and port, which one open connection has. */
  readonly #waiting = new Map<string, (secure: TLSSocket) => void>();

  /** Reads the files. `alpn`: the protocols that a client may name. Throws `configuration` naming the file. */
  constructor(config: ServerTlsOptions, alpn: readonly string[] = []) {
    this.isRequired = config.required;
    const cert = readPem(config.cert, 'tls.cert');
    const key = readPem(config.key, 'tls.key');
    try {
      this.certificate = new X509Certificate(cert).raw;
      this.#server = createServer({
        cert,
        key,
        minVersion: 'TLSv1.2',
        ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
        ...(config.clientCa === undefined
          ? {}
          : { ca: readPem(config.clientCa, 'tls.clientCa'), requestCert: true, rejectUnauthorized: true }),
      });
    } catch (cause) {
      throw new OperatingError(
        'configuration',
        `tls.cert and tls.key cannot be used: ${asError(cause).message}`,
        {
          hint: 'Both must be PEM files, and the key must be the certificate’s own.',
          cause,
        },
      );
    }
    this.#server.on('secureConnection', (secure) => {
      secure.on('error', () => {});
      const resolve = this.#waiting.get(peerOf(secure));
      if (resolve === undefined) secure.destroy();
      else resolve(secure);
    });
    // The raw socket closes with it, which ends the wait.
    this.#server.on('tlsClientError', (_error, secure) => secure.destroy());
  }

  /** Resolves after the handshake; undefined when it failed or the client went away. */
  upgrade(socket: Socket): Promise<TLSSocket | undefined> {
    const peer = peerOf(socket);
    return new Promise((resolve) => {
      const end = (secure: TLSSocket | undefined) => {
        socket.off('close', lost);
        this.#waiting.delete(peer);
        resolve(secure);
      };
      const lost = () => end(undefined);
      socket.once('close', lost);
      this.#waiting.set(peer, end);
      // Documented (tls.Server 'connection'): sockets may be brought in from outside.
      this.#server.emit('connection', socket);
    });
  }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localPort}`;
}

function readPem(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new OperatingError('configuration', `${name}: ${path} cannot be read`, {
      detail: asError(cause).message,
      cause,
    });
  }
}
