import { createHash } from 'node:crypto';

/** Signature algorithms in DER and the hash that tls-server-end-point takes for them (RFC 5929, 4.1: md5 and sha1 become sha256). */
const HASH_BY_OID: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'sha256', // md5WithRSAEncryption
  '2a864886f70d010105': 'sha256', // sha1WithRSAEncryption
  '2a864886f70d01010b': 'sha256', // sha256WithRSAEncryption
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};

/**
 * The certificate's hash for channel binding tls-server-end-point. `der` is the whole certificate. Undefined when its
 * signature algorithm has no single hash (ed25519, RSASSA-PSS): then there is no channel binding.
 */
export function certificateHash(der: Buffer): Buffer | undefined {
  // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { algorithm OID … }, … }
  const outer = element(der, 0);
  const body = outer && element(der, outer.start);
  const algorithm = body && element(der, body.end);
  const oid = algorithm && element(der, algorithm.start);
  if (oid === undefined || oid.tag !== 0x06) return undefined;
  const name = HASH_BY_OID[der.toString('hex', oid.start, oid.end)];
  return name === undefined ? undefined : createHash(name).update(der).digest();
}

interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

function element(der: Buffer, at: number): Element | undefined {
  if (at + 2 > der.length) return undefined;
  let start = at + 2;
  let length = der[at + 1]!;
  if (length >= 0x80) {
    const lengthBytes = length & 0x7f;
    if (lengthBytes === 0 || lengthBytes > 4 || start + lengthBytes > der.length) return undefined;
    length = der.readUIntBE(start, lengthBytes);
    start += lengthBytes;
  }
  return start + length > der.length ? undefined : { tag: der[at]!, start, end: start + length };
}
