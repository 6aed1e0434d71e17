import {
  constants,
  createHash,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomInt,
  timingSafeEqual,
} from 'node:crypto';

/**
 * How passwords are proven, both roles (MySQL internals, "Authentication Method"; MariaDB, "Authentication Plugin"). No I/O.
 * `client_ed25519` is in ed25519.ts.
 */

export const NATIVE = 'mysql_native_password';
export const CACHING_SHA2 = 'caching_sha2_password';
export const ED25519 = 'client_ed25519';
/** The password as it is; only for encrypted connections. */
export const CLEARTEXT = 'mysql_clear_password';

/** Bytes of a challenge of the first two; of `client_ed25519`. */
export const CHALLENGE_BYTES = 20;
export const ED25519_CHALLENGE_BYTES = 32;

/** First byte of what the server adds in AuthMoreData for caching_sha2_password, and what the client may ask for. */
export const SHA2 = { askForKey: 0x02, fastOk: 0x03, fullNeeded: 0x04 } as const;

/** Bytes of a challenge: no zero (it ends a string) and no `$` (it ends a part of a stored hash), as the servers make them. */
export function makeChallenge(length = CHALLENGE_BYTES): Buffer {
  const challenge = Buffer.alloc(length);
  for (let index = 0; index < length; index++) {
    const byte = randomInt(1, 127);
    challenge[index] = byte === 0x24 ? 0x25 : byte;
  }
  return challenge;
}

/** The answer to `challenge` by mysql_native_password; empty for an empty password. */
export function nativeAnswer(password: string, challenge: Buffer): Buffer {
  if (password === '') return Buffer.alloc(0);
  const once = hash('sha1', password);
  return xor(once, hash('sha1', challenge, hash('sha1', once)));
}

/** The answer to `challenge` by caching_sha2_password; empty for an empty password. */
export function cachingSha2Answer(password: string, challenge: Buffer): Buffer {
  if (password === '') return Buffer.alloc(0);
  const once = hash('sha256', password);
  return xor(once, hash('sha256', hash('sha256', once), challenge));
}

/** Takes the same time wherever the first difference is; lengths are not secret here. */
export function isSameAnswer(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The password with its end, as it is sent on an encrypted connection. */
export function cleartextPassword(password: string): Buffer {
  return Buffer.from(`${password}\0`);
}

/** The password for the server's key alone (caching_sha2_password without TLS): mixed with the challenge, RSA with OAEP and SHA-1. */
export function encryptPassword(password: string, challenge: Buffer, serverKey: KeyObject | string): Buffer {
  const mixed = mix(cleartextPassword(password), challenge);
  return publicEncrypt({ key: serverKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, mixed);
}

/** The server's side of `encryptPassword`; undefined when it is not for this key or not for this challenge. */
export function decryptPassword(
  encrypted: Buffer,
  challenge: Buffer,
  privateKey: KeyObject,
): string | undefined {
  let mixed: Buffer;
  try {
    mixed = privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, encrypted);
  } catch {
    return undefined;
  }
  const clear = mix(mixed, challenge);
  return clear.at(-1) === 0 ? clear.toString('utf8', 0, clear.length - 1) : undefined;
}

/** Each byte with the challenge's, which is repeated as often as needed. */
function mix(bytes: Buffer, challenge: Buffer): Buffer {
  const mixed = Buffer.allocUnsafe(bytes.length);
  for (let index = 0; index < bytes.length; index++) {
    mixed[index] = bytes[index]! ^ challenge[index % challenge.length]!;
  }
  return mixed;
}

function xor(a: Buffer, b: Buffer): Buffer {
  return mix(a, b);
}

function hash(algorithm: 'sha1' | 'sha256', ...parts: (Buffer | string)[]): Buffer {
  const sum = createHash(algorithm);
  for (const part of parts) sum.update(part);
  return sum.digest();
}
