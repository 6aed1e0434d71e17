import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  cachingSha2Answer,
  decryptPassword,
  encryptPassword,
  isSameAnswer,
  makeChallenge,
  nativeAnswer,
} from '../../src/mysql/auth-plugins.js';
import { isSignedBy, publicKeyOf, sign } from '../../src/mysql/ed25519.js';

const challenge = Buffer.from('0102030405060708090a0b0c0d0e0f1011121314', 'hex');

describe('passwords', () => {
  // Expected values: computed once with Python's hashlib from the formulas of the manual.
  test('mysql_native_password', () => {
    assert.equal(
      nativeAnswer('secret', challenge).toString('hex'),
      'b32bb3a583e1340c0a1108d58b1be49781ad8c2f',
    );
    assert.equal(nativeAnswer('', challenge).length, 0);
  });

  test('caching_sha2_password', () => {
    assert.equal(
      cachingSha2Answer('secret', challenge).toString('hex'),
      '746ebe205d56a0707acb3e796e834e0dd7b1d61743b26bd5202c7a623230c7c9',
    );
    assert.equal(cachingSha2Answer('', challenge).length, 0);
  });

  test('RSA: only this key and this challenge give the password back', () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const secret = 'a passwörd longer than the challenge is';
    const encrypted = encryptPassword(
      secret,
      challenge,
      publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    );
    assert.equal(decryptPassword(encrypted, challenge, privateKey), secret);
    assert.notEqual(decryptPassword(encrypted, makeChallenge(), privateKey), secret);
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    assert.equal(decryptPassword(encrypted, challenge, other), undefined);
  });

  test('ed25519: the key of MariaDB’s own ed25519_password(), and its signatures only', () => {
    const key = publicKeyOf('secret');
    const raw = Buffer.from(String(key.export({ format: 'jwk' }).x), 'base64url').toString('base64');
    // MariaDB's manual, "Authentication Plugin - ed25519": the hash of this password.
    assert.equal(raw.replace(/=$/, ''), 'ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY');
    const message = makeChallenge(32);
    const signature = sign('secret', message);
    assert.ok(isSignedBy(key, message, signature));
    assert.ok(!isSignedBy(key, makeChallenge(32), signature));
    assert.ok(!isSignedBy(publicKeyOf('Secret'), message, signature));
    assert.ok(!isSignedBy(key, message, signature.subarray(1)));
  });

  test('challenges hold neither zero nor $; answers of other lengths are not the same', () => {
    for (let round = 0; round < 200; round++) {
      const bytes = makeChallenge(32);
      assert.ok(bytes.every((byte) => byte > 0 && byte < 128 && byte !== 0x24));
    }
    assert.ok(isSameAnswer(Buffer.from('ab'), Buffer.from('ab')));
    assert.ok(!isSameAnswer(Buffer.from('ab'), Buffer.from('abc')));
    assert.ok(!isSameAnswer(Buffer.from('ab'), Buffer.from('ac')));
  });
});
