import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { OperatingError } from '../lib/errors.js';
import type { BackendTarget } from '../pool/backend.js';
import {
  decodeAuthentication,
  decodeBackendKeyData,
  decodeError,
  decodeParameterStatus,
} from './backend-messages.js';
import { backendLimits, Framer } from './framer.js';
import {
  encodePassword,
  encodeSASLInitialResponse,
  encodeSASLResponse,
  encodeStartupMessage,
} from './frontend-messages.js';
import { md5Answer } from './md5.js';
import { type Authentication, BACKEND } from './messages.js';
import { SCRAM, SCRAM_PLUS, ScramClient } from './scram.js';
import type { ServerAddress } from './server-address.js';
import type { ServerSocket } from './server-socket.js';

/** What a server says about itself until its first ReadyForQuery. */
export interface Login {
  readonly parameters: Map<string, string>;
  readonly processId: number;
  readonly secretKey: Buffer;
  /** Bytes that came behind ReadyForQuery are still in it. */
  readonly framer: Framer;
}

const OWN_NAME = 'ringferry';

/** Logs in on a fresh connection (PostgreSQL manual 55.2.1). Rejects with OperatingError or a plain Error. */
export async function logIn(
  connection: ServerSocket,
  address: ServerAddress,
  target: BackendTarget,
  startup: ReadonlyMap<string, string>,
): Promise<Login> {
  const attempt = new LoginAttempt(connection, address, target);
  return attempt.run(startup);
}

class LoginAttempt {
  readonly #socket: Socket;
  readonly #connection: ServerSocket;
  readonly #address: ServerAddress;
  readonly #target: BackendTarget;
  readonly #framer = new Framer(backendLimits());
  readonly #parameters = new Map<string, string>();
  #scram: ScramClient | undefined;
  /** The server has proven that it knows the password, where the method has such a proof. */
  #isProven = false;

  constructor(connection: ServerSocket, address: ServerAddress, target: BackendTarget) {
    this.#socket = connection.socket;
    this.#connection = connection;
    this.#address = address;
    this.#target = target;
  }

  async run(startup: ReadonlyMap<string, string>): Promise<Login> {
    const { user, database } = this.#target;
    const parameters = new Map([
      ['user', user],
      ...(database === '' ? [] : [['database', database] as const]),
    ]);
    parameters.set('application_name', OWN_NAME);
    for (const [name, value] of startup) parameters.set(name, value);
    this.#socket.write(encodeStartupMessage(parameters));
    let key = { processId: 0, secretKey: Buffer.alloc(0) as Buffer };
    for (;;) {
      const { code, frame } = await this.#message();
      if (code === BACKEND.Authentication) await this.#authenticate(decodeAuthentication(frame));
      else if (code === BACKEND.ParameterStatus) this.#parameters.set(...decodeParameterStatus(frame));
      else if (code === BACKEND.BackendKeyData) key = decodeBackendKeyData(frame);
      else if (code === BACKEND.ErrorResponse) throw this.#refused(frame);
      else if (code === BACKEND.ReadyForQuery)
        return { parameters: this.#parameters, ...key, framer: this.#framer };
      else if (code !== BACKEND.NoticeResponse && code !== BACKEND.NegotiateProtocolVersion) {
        throw new Error(`unexpected message of type ${code} during login`);
      }
    }
  }

  async #authenticate(request: Authentication): Promise<void> {
    switch (request.type) {
      case 'Ok':
        if (this.#scram !== undefined && !this.#isProven)
          throw new Error('the server ended SCRAM without proving itself');
        if (this.#address.channelBinding === 'require' && !this.#isProven)
          throw new Error('channel_binding=require, but the server asked for no password');
        return;
      case 'CleartextPassword':
        this.#refuseUnbound();
        this.#socket.write(encodePassword(this.#password()));
        return;
      case 'MD5Password':
        this.#refuseUnbound();
        this.#socket.write(encodePassword(md5Answer(this.#target.user, this.#password(), request.salt)));
        return;
      case 'SASL':
        return this.#beginScram(request.mechanisms);
      case 'SASLContinue': {
        if (this.#scram === undefined) throw new Error('SASLContinue without SASL');
        const answer = await this.#scram.final(request.data.toString(), this.#password());
        this.#socket.write(encodeSASLResponse(Buffer.from(answer)));
        return;
      }
      case 'SASLFinal':
        if (this.#scram === undefined) throw new Error('SASLFinal without SASL');
        this.#scram.verify(request.data.toString());
        this.#isProven = true;
        return;
      default:
        throw new Error(
          'the server wants an authentication method that is not supported (supported: SCRAM-SHA-256, md5, password, trust)',
        );
    }
  }

  #beginScram(mechanisms: readonly string[]): void {
    const wish = this.#address.channelBinding;
    const hash = wish === 'disable' ? undefined : this.#connection.certificateHash;
    const binding = mechanisms.includes(SCRAM_PLUS) ? hash : undefined;
    if (binding === undefined) this.#refuseUnbound();
    if (binding === undefined && !mechanisms.includes(SCRAM))
      throw new Error(`no SASL mechanism of the server is supported: ${mechanisms.join(', ')}`);
    this.#scram = new ScramClient(
      randomBytes(18).toString('base64'),
      binding,
      hash === undefined ? 'n' : 'y',
    );
    const first = Buffer.from(this.#scram.first());
    this.#socket.write(encodeSASLInitialResponse(binding === undefined ? SCRAM : SCRAM_PLUS, first));
  }

  #refuseUnbound(): void {
    if (this.#address.channelBinding === 'require')
      throw new Error('channel_binding=require, but the server offers no channel binding');
  }

  #password(): string {
    const { password } = this.#target;
    if (password === undefined)
      throw new Error(
        `the server asks for a password of user "${this.#target.user}", and none is configured`,
      );
    return password;
  }

  /** The server's own refusal; an unknown database is the client's affair, everything else the operator's. */
  #refused(frame: Buffer): OperatingError {
    const error = decodeError(frame);
    const { shard } = this.#target;
    if (error.sqlstate === '3D000')
      return new OperatingError('unknown-database', error.message, { detail: `Shard "${shard}" says so.` });
    return new OperatingError(
      'shard-connect-failed',
      `shard "${shard}" refused the connection: ${error.message}`,
      {
        detail: `SQLSTATE ${error.sqlstate} from ${this.#address.host}:${this.#address.port}.`,
      },
    );
  }

  async #message(): Promise<{ code: number; frame: Buffer }> {
    while (!this.#framer.next()) this.#framer.push(await this.#chunk());
    const { code, buffer, start, end } = this.#framer;
    return { code, frame: buffer.subarray(start, end) };
  }

  #chunk(): Promise<Buffer> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      const take = () => {
        const chunk = socket.read() as Buffer | null;
        if (chunk !== null) end(() => resolve(chunk));
      };
      const failed = (error: Error) => end(() => reject(error));
      const closed = () => end(() => reject(new Error('the server closed the connection during login')));
      const end = (act: () => void) => {
        socket.off('readable', take).off('error', failed).off('close', closed).off('end', closed);
        act();
      };
      socket.on('readable', take).on('error', failed).on('close', closed).on('end', closed);
      take();
    });
  }
}
