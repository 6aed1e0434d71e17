import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { OperatingError } from '../lib/errors.js';
import { saslprep } from './saslprep.js';

/** SCRAM-SHA-256 of RFC 5802 and RFC 7677, both roles; channel binding tls-server-end-point of RFC 5929. No I/O. */

export const SCRAM = 'SCRAM-SHA-256';
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS';
export const DEFAULT_ITERATIONS = 4096;
/** More rounds than this from a server would only keep a core busy. */
const MAX_ITERATIONS = 10_000_000;

const deriveKey = promisify(pbkdf2);

/** What a server keeps instead of the password. */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Reads `SCRAM-SHA-256$iterations:salt$storedKey:serverKey` as in pg_authid.rolpassword; undefined when it is not one. */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const match =
    /^SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})$/.exec(text);
  if (match === null) return undefined;
  const [salt, storedKey, serverKey] = match.slice(2).map((part) => Buffer.from(part, 'base64'));
  return { iterations: Number(match[1]), salt: salt!, storedKey: storedKey!, serverKey: serverKey! };
}

export async function makeVerifier(
  password: string,
  salt: Buffer,
  iterations = DEFAULT_ITERATIONS,
): Promise<ScramVerifier> {
  const salted = await saltPassword(password, salt, iterations);
  return {
    iterations,
    salt,
    storedKey: hash(hmac(salted, 'Client Key')),
    serverKey: hmac(salted, 'Server Key'),
  };
}

export function saltPassword(password: string, salt: Buffer, iterations: number): Promise<Buffer> {
  return deriveKey(saslprep(password), salt, iterations, 32, 'sha256');
}

/** The server's side of one exchange. */
export class ScramServer {
  readonly #verifier: ScramVerifier;
  readonly #isPlus: boolean;
  readonly #binding: Buffer | undefined;
  readonly #nonce: string;
  #firstBare = '';
  #gs2 = '';
  #fullNonce = '';
  #serverFirst = '';

  /** `binding`: the hash of our certificate, when the connection is encrypted and -PLUS was offered. */
  constructor(verifier: ScramVerifier, mechanism: string, binding: Buffer | undefined, nonce: string) {
    this.#verifier = verifier;
    this.#isPlus = mechanism === SCRAM_PLUS;
    this.#binding = binding;
    this.#nonce = nonce;
  }

  /** client-first-message → server-first-message. Throws `protocol-violation` when it is malformed. */
  first(message: string): string {
    const match = /^((n|y|p=([A-Za-z0-9.-]+)),([^,]*),)(n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(,.*)?)$/s.exec(
      message,
    );
    if (match === null) throw malformed('the first message');
    const [, gs2, flag, type, authzid, bare, , nonce] = match;
    if (authzid !== '') throw malformed('an authorization identity, which is not supported');
    if (this.#isPlus !== flag!.startsWith('p'))
      throw malformed('a channel binding flag that does not fit the mechanism');
    if (this.#isPlus && type !== 'tls-server-end-point')
      throw malformed(`an unsupported channel binding type "${type}"`);
    // The client could bind but believes that we cannot: somebody has changed our offer on the way (RFC 5802, 6).
    if (flag === 'y' && this.#binding !== undefined)
      throw malformed('a channel binding flag that contradicts our offer');
    this.#gs2 = gs2!;
    this.#firstBare = bare!;
    this.#fullNonce = nonce! + this.#nonce;
    const { salt, iterations } = this.#verifier;
    this.#serverFirst = `r=${this.#fullNonce},s=${salt.toString('base64')},i=${iterations}`;
    return this.#serverFirst;
  }

  /** client-final-message → server-final-message; undefined when the proof is wrong. */
  final(message: string): string | undefined {
    const match = /^(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,[^,]+)*),p=([A-Za-z0-9+/=]+)$/s.exec(message);
    if (match === null) throw malformed('the final message');
    const [, withoutProof, binding, nonce, proofText] = match;
    const expected = Buffer.concat([Buffer.from(this.#gs2), this.#isPlus ? this.#binding! : Buffer.alloc(0)]);
    if (!equal(Buffer.from(binding!, 'base64'), expected))
      throw malformed('a channel binding that does not match');
    if (nonce !== this.#fullNonce) throw malformed('a nonce that does not match');
    const proof = Buffer.from(proofText!, 'base64');
    if (proof.length !== 32) throw malformed('a proof of wrong length');
    const authMessage = `${this.#firstBare},${this.#serverFirst},${withoutProof}`;
    const clientKey = xor(proof, hmac(this.#verifier.storedKey, authMessage));
    if (!equal(hash(clientKey), this.#verifier.storedKey)) return undefined;
    return `v=${hmac(this.#verifier.serverKey, authMessage).toString('base64')}`;
  }
}

/** The client's side of one exchange. */
export class ScramClient {
  readonly #gs2: string;
  readonly #binding: Buffer;
  readonly #nonce: string;
  readonly #salt: typeof saltPassword;
  #serverSignature: Buffer | undefined;

  /**
   * `binding`: the hash of the server's certificate for -PLUS. `flag`: `y` when we could bind but the server did not
   * offer it, `n` when we could not.
   */
  constructor(
    nonce: string,
    binding: Buffer | undefined,
    flag: 'n' | 'y',
    salt: typeof saltPassword = saltPassword,
  ) {
    this.#gs2 = binding === undefined ? `${flag},,` : 'p=tls-server-end-point,,';
    this.#binding = binding ?? Buffer.alloc(0);
    this.#nonce = nonce;
    this.#salt = salt;
  }

  /** The user's name is left out: the server takes the one of the startup packet. */
  first(user = ''): string {
    this.#firstBare = `n=${user},r=${this.#nonce}`;
    return this.#gs2 + this.#firstBare;
  }

  #firstBare = '';

  /** server-first-message → client-final-message. */
  async final(serverFirst: string, password: string): Promise<string> {
    const match = /^r=([^,]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})$/.exec(serverFirst);
    if (match === null) throw malformed('the first message');
    const [, nonce, saltText, iterationsText] = match;
    if (!nonce!.startsWith(this.#nonce) || nonce!.length === this.#nonce.length)
      throw malformed('a nonce that is not ours');
    const iterations = Number(iterationsText);
    if (iterations < 1 || iterations > MAX_ITERATIONS) throw malformed(`an iteration count of ${iterations}`);
    const salted = await this.#salt(password, Buffer.from(saltText!, 'base64'), iterations);
    const clientKey = hmac(salted, 'Client Key');
    const bound = Buffer.concat([Buffer.from(this.#gs2), this.#binding]).toString('base64');
    const withoutProof = `c=${bound},r=${nonce}`;
    const authMessage = `${this.#firstBare},${serverFirst},${withoutProof}`;
    const proof = xor(clientKey, hmac(hash(clientKey), authMessage));
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /** Throws unless the server has shown that it knows the password too. */
  verify(serverFinal: string): void {
    const signature = /^v=([A-Za-z0-9+/=]+)/.exec(serverFinal)?.[1];
    if (
      signature === undefined ||
      this.#serverSignature === undefined ||
      !equal(Buffer.from(signature, 'base64'), this.#serverSignature)
    ) {
      throw new OperatingError(
        'authentication-failed',
        'the server does not know the password (SCRAM server signature is wrong)',
      );
    }
  }
}

/** Constant time for equal lengths; lengths are not secret here. */
function equal(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function malformed(what: string): OperatingError {
  return new OperatingError('protocol-violation', `malformed SCRAM message: ${what}`);
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function hash(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function xor(a: Buffer, b: Buffer): Buffer {
  const result = Buffer.allocUnsafe(a.length);
  for (let index = 0; index < a.length; index++) result[index] = a[index]! ^ b[index]!;
  return result;
}
