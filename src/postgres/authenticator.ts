import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { OperatingError } from '../lib/errors.js';
import {
  encodeAuthenticationMD5Password,
  encodeAuthenticationSASL,
  encodeAuthenticationSASLData,
} from './backend-messages.js';
import { decodePassword, decodeSASLInitialResponse } from './frontend-messages.js';
import { md5Answer } from './md5.js';
import {
  DEFAULT_ITERATIONS,
  makeVerifier,
  parseVerifier,
  SCRAM,
  SCRAM_PLUS,
  ScramServer,
  type ScramVerifier,
} from './scram.js';
import { HEADER_BYTES } from './wire.js';

/** How one user proves who it is. */
export interface LoginRule {
  readonly auth: 'scram' | 'md5' | 'trust';
  readonly password: string | undefined;
  /** A SCRAM-SHA-256 verifier; used instead of the password. */
  readonly scram: string | undefined;
  /** The password goes into the client's identity, so that backends can be opened with it. */
  readonly passOn?: boolean;
  /** Told only to a client that has proven who it is, e.g. an unknown database. */
  readonly refusal?: OperatingError | undefined;
}

/** The way to the client while it proves itself. */
export interface Conversation {
  send(frame: Buffer): void;
  /** The client's next PasswordMessage or SASL response, whole. */
  passwordFrame(): Promise<Buffer>;
}

const SALT_BYTES = 16;
const NONCE_BYTES = 18;
const CACHED_VERIFIERS = 1000;

/**
 * Lets clients prove who they are. A user that does not exist goes through the same exchange with the same salt each
 * time, and fails like a wrong password does. Salted passwords are kept, so that a login costs microseconds, not 4096 rounds.
 */
export class Authenticator {
  readonly #mockKey = randomBytes(32);
  readonly #verifiers = new LRUCache<string, Promise<ScramVerifier>>({ max: CACHED_VERIFIERS });

  /** Resolves when `user` has proven itself; throws `authentication-failed` or `protocol-violation`. `binding`: the hash of our certificate when the connection is encrypted. */
  async authenticate(
    client: Conversation,
    user: string,
    rule: LoginRule | undefined,
    binding: Buffer | undefined,
  ): Promise<void> {
    if (rule?.auth === 'trust') return;
    if (rule?.auth === 'md5' && rule.password !== undefined) return md5(client, user, rule.password);
    return this.#scram(client, user, rule, binding);
  }

  async #scram(
    client: Conversation,
    user: string,
    rule: LoginRule | undefined,
    binding: Buffer | undefined,
  ): Promise<void> {
    const verifier = await this.#verifierOf(user, rule);
    client.send(encodeAuthenticationSASL(binding === undefined ? [SCRAM] : [SCRAM_PLUS, SCRAM]));
    const { mechanism, response } = decodeSASLInitialResponse(await client.passwordFrame());
    const isKnown = mechanism === SCRAM || (mechanism === SCRAM_PLUS && binding !== undefined);
    if (!isKnown)
      throw new OperatingError(
        'protocol-violation',
        'client selected an invalid SASL authentication mechanism',
      );
    if (response === undefined)
      throw new OperatingError('protocol-violation', 'SASLInitialResponse without a response');
    const exchange = new ScramServer(
      verifier ?? this.#mockVerifier(user),
      mechanism,
      binding,
      randomBytes(NONCE_BYTES).toString('base64'),
    );
    client.send(
      encodeAuthenticationSASLData('SASLContinue', Buffer.from(exchange.first(response.toString('utf8')))),
    );
    const final = exchange.final((await client.passwordFrame()).toString('utf8', HEADER_BYTES));
    if (final === undefined || verifier === undefined) throw failed(user);
    client.send(encodeAuthenticationSASLData('SASLFinal', Buffer.from(final)));
  }

  /** undefined: nobody can log in as this user. */
  async #verifierOf(user: string, rule: LoginRule | undefined): Promise<ScramVerifier | undefined> {
    if (rule === undefined) return undefined;
    if (rule.scram !== undefined) return parseVerifier(rule.scram);
    const { password } = rule;
    if (password === undefined || password === '') return undefined;
    const key = `${user}\0${password}`;
    let verifier = this.#verifiers.get(key);
    if (verifier === undefined) {
      verifier = makeVerifier(password, this.#saltOf(user));
      this.#verifiers.set(key, verifier);
    }
    return verifier;
  }

  #saltOf(user: string): Buffer {
    return createHmac('sha256', this.#mockKey).update(user).digest().subarray(0, SALT_BYTES);
  }

  #mockVerifier(user: string): ScramVerifier {
    const key = randomBytes(32);
    return { iterations: DEFAULT_ITERATIONS, salt: this.#saltOf(user), storedKey: key, serverKey: key };
  }
}

async function md5(client: Conversation, user: string, password: string): Promise<void> {
  const salt = randomBytes(4);
  client.send(encodeAuthenticationMD5Password(salt));
  const given = Buffer.from(decodePassword(await client.passwordFrame()));
  const expected = Buffer.from(md5Answer(user, password, salt));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw failed(user);
}

function failed(user: string): OperatingError {
  return new OperatingError('authentication-failed', `password authentication failed for user "${user}"`);
}
