import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { certificateHash } from '../../src/postgres/certificate-hash.js';
import { md5Answer } from '../../src/postgres/md5.js';
import { saslprep } from '../../src/postgres/saslprep.js';
import {
  makeVerifier,
  parseVerifier,
  SCRAM,
  SCRAM_PLUS,
  ScramClient,
  ScramServer,
} from '../../src/postgres/scram.js';
import { certificate } from '../fakes/door.js';

/** The example of RFC 7677, section 3. */
const RFC = {
  password: 'pencil',
  salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
  clientNonce: 'rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

describe('SCRAM-SHA-256', () => {
  test('says as a client what RFC 7677 says', async () => {
    const client = new ScramClient(RFC.clientNonce, undefined, 'n');
    assert.equal(client.first('user'), RFC.clientFirst);
    assert.equal(await client.final(RFC.serverFirst, RFC.password), RFC.clientFinal);
    client.verify(RFC.serverFinal);
    assert.throws(
      () => client.verify('v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='),
      /does not know the password/,
    );
    assert.throws(() => client.verify('e=other-error'), /does not know the password/);
  });

  test('says as a server what RFC 7677 says', async () => {
    const server = new ScramServer(
      await makeVerifier(RFC.password, RFC.salt),
      SCRAM,
      undefined,
      RFC.serverNonce,
    );
    assert.equal(server.first(RFC.clientFirst), RFC.serverFirst);
    assert.equal(server.final(RFC.clientFinal), RFC.serverFinal);
  });

  test('reads the verifier that Postgres keeps', async () => {
    // CREATE ROLE … PASSWORD 'pencil' with the salt and rounds of the RFC.
    const text =
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';
    const verifier = parseVerifier(text);
    assert.ok(verifier !== undefined);
    const server = new ScramServer(verifier, SCRAM, undefined, RFC.serverNonce);
    server.first(RFC.clientFirst);
    assert.equal(server.final(RFC.clientFinal), RFC.serverFinal);
    assert.equal(parseVerifier('md5abc'), undefined);
    assert.equal(parseVerifier(text.slice(0, -4)), undefined);
  });

  test('refuses a wrong proof, a changed nonce and a binding that is not ours', async () => {
    const verifier = await makeVerifier('secret', RFC.salt);
    const run = async (password: string, change: (final: string) => string, plus = false) => {
      const binding = plus ? Buffer.from('our certificate') : undefined;
      const server = new ScramServer(verifier, plus ? SCRAM_PLUS : SCRAM, binding, 'server');
      const client = new ScramClient('client', plus ? Buffer.from('their certificate') : undefined, 'n');
      const final = await client.final(server.first(client.first()), password);
      return server.final(change(final));
    };
    assert.equal(await run('wrong', (final) => final), undefined);
    assert.match((await run('secret', (final) => final)) ?? '', /^v=/);
    await assert.rejects(
      run('secret', (final) => final.replace('r=clientserver', 'r=clientother')),
      /nonce/,
    );
    await assert.rejects(
      run('secret', (final) => final, true),
      /channel binding/,
    );
  });

  test('binds to the channel, and notices when somebody hid our offer', async () => {
    const verifier = await makeVerifier('secret', RFC.salt);
    const binding = Buffer.from('hash');
    const server = new ScramServer(verifier, SCRAM_PLUS, binding, 'server');
    const client = new ScramClient('client', binding, 'n');
    const final = server.final(await client.final(server.first(client.first()), 'secret'));
    client.verify(final!);
    const deceived = new ScramServer(verifier, SCRAM, binding, 'server');
    assert.throws(
      () => deceived.first(new ScramClient('client', undefined, 'y').first()),
      /contradicts our offer/,
    );
    assert.throws(
      () => new ScramServer(verifier, SCRAM, binding, 's').first('p=tls-server-end-point,,n=,r=x'),
      /does not fit/,
    );
    assert.throws(
      () => new ScramServer(verifier, SCRAM_PLUS, binding, 's').first('n,,n=,r=x'),
      /does not fit/,
    );
  });

  test('refuses as a client a server’s nonce that is not ours and absurd iteration counts', async () => {
    const client = () => new ScramClient('mine', undefined, 'n');
    await assert.rejects(client().final('r=other,s=AAAA,i=4096', 'x'), /nonce/);
    await assert.rejects(client().final('r=mine,s=AAAA,i=4096', 'x'), /nonce/);
    await assert.rejects(client().final('r=mine1,s=AAAA,i=0', 'x'), /iteration/);
    await assert.rejects(client().final('r=mine1,s=AAAA,i=999999999', 'x'), /iteration/);
  });
});

test('saslprep maps what looks the same to the same, and leaves alone what it would refuse', () => {
  assert.equal(saslprep('pencil'), 'pencil');
  assert.equal(saslprep('I\u00adX'), 'IX');
  assert.equal(saslprep('a\u00a0b'), 'a b');
  assert.equal(saslprep('\u2168'), 'IX');
  assert.equal(saslprep('\u00aa'), 'a');
  assert.equal(saslprep('a\u0007'), 'a\u0007');
});

test('md5 answers are what the manual says', () => {
  // printf with md5sum: md5(md5('secretapp') + 01020304)
  assert.equal(md5Answer('app', 'secret', Buffer.from([1, 2, 3, 4])), 'md5911f527656472583a006e7727877b33e');
});

test('a certificate is hashed as its own signature was, and not at all where that has no hash', () => {
  const hashOf = (name: string) => certificateHash(new X509Certificate(readFileSync(certificate(name))).raw);
  assert.equal(hashOf('server.crt')?.length, 48);
  assert.equal(hashOf('ca.crt')?.length, 32);
  assert.equal(hashOf('ed25519.crt'), undefined);
  assert.equal(certificateHash(Buffer.from('not a certificate')), undefined);
});
