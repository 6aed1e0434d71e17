import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import {
  CACHING_SHA2,
  CLEARTEXT,
  cachingSha2Answer,
  decryptPassword,
  makeChallenge,
  NATIVE,
  nativeAnswer,
  SHA2,
} from '../../src/mysql/auth-plugins.js';
import { connectMysqlBackend } from '../../src/mysql/backend.js';
import { encodeAuthMoreData, encodeAuthSwitchRequest } from '../../src/mysql/handshake.js';
import { encodeErr, encodeOk } from '../../src/mysql/result-messages.js';
import type { Backend, BackendTarget } from '../../src/pool/backend.js';
import { certificate } from '../fakes/door.js';
import { connect, endAll, servers, startServer } from './backend-connections.js';
import { ScriptedServer } from './scripted-server.js';

const PASSWORD = 'straße 5';

function refuses(code: string, words: RegExp, hint?: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof OperatingError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, /shard "a"|database/);
    assert.match(error.message, words);
    assert.ok(!error.message.includes(PASSWORD));
    if (hint !== undefined) assert.match(error.hint ?? '', hint);
    return true;
  };
}

describe('logging in to MariaDB', () => {
  before(async () => {
    await startServer({
      'ssl-ca': certificate('ca.crt'),
      'ssl-cert': certificate('server.crt'),
      'ssl-key': certificate('server.key'),
      'plugin-load-add': 'auth_ed25519',
    });
    const root = await connect();
    for (const sql of [
      `CREATE USER native IDENTIFIED BY '${PASSWORD}'`,
      'CREATE USER empty',
      `CREATE USER curved IDENTIFIED VIA ed25519 USING PASSWORD('${PASSWORD}')`,
      `CREATE USER either IDENTIFIED VIA ed25519 USING PASSWORD('other') OR mysql_native_password USING PASSWORD('${PASSWORD}')`,
      `CREATE USER secure IDENTIFIED BY '${PASSWORD}' REQUIRE SSL`,
      `CREATE USER lonely IDENTIFIED BY '${PASSWORD}' WITH MAX_USER_CONNECTIONS 1`,
      `CREATE USER local IDENTIFIED VIA unix_socket`,
      'GRANT ALL ON *.* TO native, empty, curved, either, secure, lonely',
    ])
      await root.run(sql);
  });
  after(endAll);

  const url = (query: string, host = '127.0.0.1') => `mysql://${host}:${servers[0]!.port}/shop?${query}`;
  const login = (user: string, facts: Partial<BackendTarget> = {}) =>
    connect({ user, password: PASSWORD, ...facts });
  const user = async (backend: Backend) => (await backend.rows('SELECT CURRENT_USER()'))[0]![0];

  for (const name of ['native', 'curved', 'either', 'secure']) {
    test(`as a user that is ${name}, and not with another password`, async () => {
      assert.equal(await user(await login(name)), `${name}@%`);
      await assert.rejects(
        login(name, { password: 'wrong' }),
        refuses('shard-connect-failed', /Access denied/, /password/),
      );
      await assert.rejects(
        login(name, { password: undefined }),
        refuses('shard-connect-failed', /Access denied/),
      );
    });
  }

  test('without a password where there is none', async () => {
    assert.equal(await user(await login('empty', { password: undefined })), 'empty@%');
    assert.equal(await user(await login('empty', { password: '' })), 'empty@%');
  });

  test('encrypts unless it is told not to', async () => {
    const cipher = async (backend: Backend) => (await backend.rows("SHOW STATUS LIKE 'Ssl_cipher'"))[0]![1];
    const preferred = await login('native');
    assert.equal(preferred.isEncrypted, true);
    assert.notEqual(await cipher(preferred), '');
    const plain = await login('native', { url: url('ssl-mode=DISABLED') });
    assert.equal(plain.isEncrypted, false);
    assert.equal(await cipher(plain), '');
    await assert.rejects(
      login('secure', { url: url('sslmode=disable') }),
      refuses('shard-connect-failed', /Access denied/),
    );
    await plain.cancel();
  });

  test('checks the certificate and its name when it is told to', async () => {
    const ca = `ssl-ca=${certificate('ca.crt')}`;
    assert.equal((await login('native', { url: url(`ssl-mode=VERIFY_CA&${ca}`) })).isEncrypted, true);
    const other = `ssl-ca=${certificate('stranger.crt')}`;
    for (const mode of ['VERIFY_CA', 'VERIFY_IDENTITY', 'REQUIRED'])
      await assert.rejects(
        login('native', { url: url(`ssl-mode=${mode}&${other}`) }),
        refuses('shard-connect-failed', /certificate/),
      );
    await assert.rejects(
      login('native', { url: url(other) }),
      refuses('shard-connect-failed', /certificate/),
    );
    const byTarget = login('native', { serverCa: certificate('stranger.crt') });
    await assert.rejects(byTarget, refuses('shard-connect-failed', /certificate/));
  });

  test('names an unknown database, a host that is not there, a limit that is reached', async () => {
    await assert.rejects(login('native', { database: 'nowhere' }), refuses('unknown-database', /nowhere/));
    await assert.rejects(
      login('native', { url: 'mysql://127.0.0.1:1/shop' }),
      refuses('shard-connect-failed', /127\.0\.0\.1:1.*ECONNREFUSED/, /runs/),
    );
    await login('lonely');
    await assert.rejects(login('lonely'), refuses('shard-connect-failed', /max_user_connections/, /Raise/));
    await assert.rejects(login('local'), refuses('shard-connect-failed', /./));
  });

  test('refuses a URL that it cannot follow', async () => {
    const wrong = (given: string, words: RegExp) =>
      assert.rejects(login('native', { url: given }), refuses('configuration', words));
    await wrong('nonsense', /cannot be read/);
    await wrong('mysql:///shop', /host/);
    await wrong(url('ssl-mode=perhaps'), /perhaps/);
  });
});

describe('logging in to a scripted server', () => {
  const running: ScriptedServer[] = [];
  const open: Backend[] = [];
  afterEach(async () => {
    for (const backend of open.splice(0)) backend.terminate();
    for (const server of running.splice(0)) await server.close();
  });

  async function serve(script: ConstructorParameters<typeof ScriptedServer>[0]): Promise<ScriptedServer> {
    const server = await new ScriptedServer(script).listen();
    running.push(server);
    return server;
  }

  async function logIn(server: ScriptedServer, query = '', password = PASSWORD, timeoutMs = 5_000) {
    const target = {
      shard: 'a',
      url: `mysql://127.0.0.1:${server.port}/shop?${query}`,
      user: 'app',
      password,
      database: 'shop',
    };
    const backend = await connectMysqlBackend(target, new Map(), AbortSignal.timeout(timeoutMs)).catch(
      (error: unknown) => {
        throw server.failure ?? error;
      },
    );
    open.push(backend);
    return backend;
  }

  test('caching_sha2_password, fast: the answer is enough', async () => {
    const server = await serve(async (peer) => {
      const response = await peer.greet({ plugin: CACHING_SHA2 });
      assert.deepEqual(response.answer, cachingSha2Answer(PASSWORD, peer.challenge));
      assert.deepEqual([response.user, response.database, response.plugin], ['app', 'shop', CACHING_SHA2]);
      peer.send(encodeAuthMoreData(Buffer.of(SHA2.fastOk)), encodeOk({ status: 2 }));
    });
    const backend = await logIn(server);
    assert.deepEqual([backend.processId, backend.parameters.get('version')], [7, '8.0.36']);
  });

  test('caching_sha2_password, full with the server’s key: the password is never readable', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    let seen: string | undefined;
    const server = await serve(async (peer) => {
      await peer.greet({ plugin: CACHING_SHA2 });
      peer.send(encodeAuthMoreData(Buffer.of(SHA2.fullNeeded)));
      assert.deepEqual(await peer.packet(), Buffer.of(SHA2.askForKey));
      peer.send(encodeAuthMoreData(Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }))));
      const encrypted = await peer.packet();
      assert.equal(encrypted.length, 256);
      seen = decryptPassword(encrypted, peer.challenge, privateKey);
      peer.welcome();
    });
    await logIn(server);
    assert.equal(seen, PASSWORD);
  });

  test('caching_sha2_password, full on an encrypted connection', async () => {
    let seen = '';
    const server = await serve(async (peer) => {
      await peer.greet({ plugin: CACHING_SHA2, isTls: true });
      assert.ok(peer.isEncrypted);
      peer.send(encodeAuthMoreData(Buffer.of(SHA2.fullNeeded)));
      seen = (await peer.packet()).toString();
      peer.welcome();
    });
    assert.equal((await logIn(server)).isEncrypted, true);
    assert.equal(seen, `${PASSWORD}\0`);
  });

  test('switches from any plugin to the one that the user has, with its own challenge', async () => {
    for (const plugin of ['some_plugin', CACHING_SHA2]) {
      const server = await serve(async (peer) => {
        await peer.greet({ plugin });
        const challenge = makeChallenge();
        peer.send(encodeAuthSwitchRequest({ plugin: NATIVE, challenge }));
        assert.deepEqual(await peer.packet(), nativeAnswer(PASSWORD, challenge));
        peer.welcome();
      });
      await logIn(server);
    }
  });

  test('gives the password as it is only to an encrypted connection', async () => {
    const server = await serve(async (peer) => {
      await peer.greet({ plugin: NATIVE, isTls: true });
      peer.send(encodeAuthSwitchRequest({ plugin: CLEARTEXT, challenge: Buffer.alloc(0) }));
      assert.equal((await peer.packet()).toString(), `${PASSWORD}\0`);
      peer.welcome();
    });
    await logIn(server);
    await assert.rejects(
      logIn(server, 'ssl-mode=disabled'),
      refuses('shard-connect-failed', /not encrypted/),
    );
  });

  test('names a plugin that is not supported', async () => {
    const server = await serve(async (peer) => {
      await peer.greet({ plugin: NATIVE });
      peer.send(encodeAuthSwitchRequest({ plugin: 'authentication_ldap_sasl', challenge: Buffer.alloc(0) }));
    });
    await assert.rejects(
      logIn(server),
      refuses('shard-connect-failed', /"app" has the authentication plugin authentication_ldap_sasl/),
    );
  });

  test('does not go on without encryption where it is required', async () => {
    const server = await serve(async (peer) => {
      await peer.greet({ plugin: NATIVE });
    });
    const target = {
      shard: 'a',
      url: `mysql://127.0.0.1:${server.port}/?ssl-mode=REQUIRED`,
      user: 'app',
      password: PASSWORD,
      database: '',
    };
    await assert.rejects(
      connectMysqlBackend(target, new Map(), AbortSignal.timeout(5_000)),
      refuses('shard-connect-failed', /does not support encryption/),
    );
  });

  test('tells what the server says instead of a greeting', async () => {
    const server = await serve((peer) => {
      peer.send(encodeErr({ errno: 1040, sqlstate: '08004', message: 'Too many connections' }));
    });
    await assert.rejects(logIn(server), refuses('shard-connect-failed', /Too many/, /max_connections/));
  });

  test('gives up on silence, on an endless login, on garbage and on what is too long', async () => {
    const silent = await serve(() => {});
    await assert.rejects(logIn(silent, '', PASSWORD, 200), refuses('shard-connect-failed', /in time/));
    const endless = await serve(async (peer) => {
      await peer.greet({ plugin: CACHING_SHA2 });
      for (let times = 0; times < 20; times++) peer.send(encodeAuthMoreData(Buffer.of(SHA2.fastOk)));
    });
    await assert.rejects(logIn(endless), refuses('shard-connect-failed', /end/));
    const garbage = await serve((peer) => {
      peer.send(Buffer.from('HTTP/1.1 400 Bad Request'));
    });
    await assert.rejects(logIn(garbage), refuses('shard-connect-failed', /./));
    const long = await serve((peer) => {
      peer.socket.write(Buffer.of(0xff, 0xff, 0xff, 0, 10));
    });
    await assert.rejects(logIn(long), refuses('shard-connect-failed', /longer/));
  });
});
