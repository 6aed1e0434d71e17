import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';

/**
 * Ed25519 (RFC 8032, 5.1) as MariaDB's plugin `ed25519` uses it: the password itself, of any length, stands where the RFC has
 * the 32 bytes of the secret key. Node's own signing takes 32 bytes only, so the curve is here; checking a signature is Node's.
 */

const P = 2n ** 255n - 19n;
/** The order of the base point. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

export const SIGNATURE_BYTES = 64;

/** Extended coordinates: x = X/Z, y = Y/Z, xy = T/Z (RFC 8032, 5.1.4). */
interface Point {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
  readonly t: bigint;
}

const BASE: Point = pointOf(
  15112221349535400772501151409588531511454012693041857206046113283949847762202n,
  46316835694926478169428394003475163141307993866256225615783033603165251855960n,
);
const ZERO: Point = pointOf(0n, 1n);

interface Secret {
  readonly scalar: bigint;
  readonly prefix: Buffer;
}

/** The 64 bytes with which a client answers `message`. */
export function sign(password: string, message: Buffer): Buffer {
  const { scalar, prefix } = secretOf(password);
  const publicKey = encodePoint(multiply(scalar));
  const r = numberOf(sha512(prefix, message)) % L;
  const first = encodePoint(multiply(r));
  const k = numberOf(sha512(first, publicKey, message)) % L;
  return Buffer.concat([first, encodeNumber((r + k * scalar) % L)]);
}

/** What the server keeps (in MariaDB: base64 in mysql.global_priv). Takes some milliseconds: keep it. */
export function publicKeyOf(password: string): KeyObject {
  const x = encodePoint(multiply(secretOf(password).scalar)).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

export function isSignedBy(publicKey: KeyObject, message: Buffer, signature: Buffer): boolean {
  return signature.length === SIGNATURE_BYTES && verify(null, message, publicKey, signature);
}

function secretOf(password: string): Secret {
  const hash = sha512(Buffer.from(password));
  const bytes = Buffer.from(hash.subarray(0, 32));
  bytes[0]! &= 0xf8;
  bytes[31] = (bytes[31]! & 0x7f) | 0x40;
  return { scalar: numberOf(bytes), prefix: hash.subarray(32) };
}

/** The base point times `scalar`; the same number of steps for every scalar. */
function multiply(scalar: bigint): Point {
  let sum = ZERO;
  let unused = ZERO;
  let power = BASE;
  for (let bit = 0n; bit < 256n; bit++) {
    if ((scalar >> bit) & 1n) sum = add(sum, power);
    else unused = add(unused, power);
    power = add(power, power);
  }
  return sum;
}

function add(a: Point, b: Point): Point {
  const minus = modulo((a.y - a.x) * (b.y - b.x));
  const plus = modulo((a.y + a.x) * (b.y + b.x));
  const t = modulo(2n * D * a.t * b.t);
  const z = modulo(2n * a.z * b.z);
  const [e, f, g, h] = [plus - minus, z - t, z + t, plus + minus];
  return { x: modulo(e * f), y: modulo(g * h), z: modulo(f * g), t: modulo(e * h) };
}

function pointOf(x: bigint, y: bigint): Point {
  return { x, y, z: 1n, t: modulo(x * y) };
}

/** y, and in its highest bit whether x is odd. */
function encodePoint(point: Point): Buffer {
  const inverse = power(point.z, P - 2n);
  const x = modulo(point.x * inverse);
  return encodeNumber(modulo(point.y * inverse) | ((x & 1n) << 255n));
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = modulo(result * square);
    square = modulo(square * square);
  }
  return result;
}

function modulo(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function numberOf(littleEndian: Buffer): bigint {
  return BigInt(`0x${Buffer.from(littleEndian).reverse().toString('hex')}`);
}

function encodeNumber(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();
}

function sha512(...parts: Buffer[]): Buffer {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
