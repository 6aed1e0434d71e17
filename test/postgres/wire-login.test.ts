import assert from 'node:assert/strict';
import { appendFile, chmod, chown, copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import pg from 'pg';
import { unprivilegedUser } from '../../src/demo/run-as.js';
import { OperatingError } from '../../src/lib/errors.js';
import type { Backend } from '../../src/pool/backend.js';
import type { LoginRule } from '../../src/postgres/authenticator.js';
import { connectBackend } from '../../src/postgres/backend.js';
import { type PostgresServer, runSql, startPostgres } from '../cluster.js';
import { certificate, serverTls, TestDoor } from '../fakes/door.js';

const VERIFIER =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';

const open: Backend[] = [];
const doors: TestDoor[] = [];

async function log(url: string, user: string, password: string | undefined): Promise<Backend> {
  const target = { shard: 'a', url, user, password, database: 'postgres' };
  const backend = await connectBackend(target, new Map(), AbortSignal.timeout(30_000));
  open.push(backend);
  return backend;
}

afterEach(async () => {
  for (const backend of open.splice(0)) backend.terminate();
  for (const door of doors.splice(0)) await door.close();
});

describe('logging in to a real server', () => {
  const ends: (() => Promise<void>)[] = [];
  let server: PostgresServer;

  before(async () => {
    [server] = (await startPostgres((end) => ends.push(end))) as [PostgresServer];
    const data = join(server.folder, 'data');
    for (const name of ['server.crt', 'server.key', 'ca.crt']) {
      await copyFile(certificate(name), join(data, name));
      await chmod(join(data, name), 0o600);
      const owner = unprivilegedUser();
      if (owner !== undefined) await chown(join(data, name), owner.uid, owner.gid);
    }
    await runSql(
      server.url(),
      `CREATE ROLE scram LOGIN PASSWORD '${VERIFIER}'`,
      "SET password_encryption = 'md5'",
      "CREATE ROLE md LOGIN PASSWORD 'pencil'",
      'CREATE ROLE trusted LOGIN',
      'RESET password_encryption',
      "CREATE ROLE plain LOGIN PASSWORD 'pencil'",
      "CREATE ROLE secure LOGIN PASSWORD 'pencil'",
    );
    await runSql(server.url(), "ALTER SYSTEM SET ssl = 'on'");
    const hba =
      'hostssl all secure 127.0.0.1/32 scram-sha-256\nhost all scram 127.0.0.1/32 scram-sha-256\nhost all md 127.0.0.1/32 md5\nhost all plain 127.0.0.1/32 password\nhost all all 127.0.0.1/32 trust\n';
    await writeFile(join(data, 'pg_hba.conf'), hba);
    await appendFile(join(data, 'postgresql.conf'), "ssl_ca_file = 'ca.crt'\n");
    await runSql(server.url(), 'SELECT pg_reload_conf()');
  });
  after(async () => {
    for (const end of ends) await end();
  });

  const url = (query = '') => `${server.url()}${query}`;
  const encrypted = async (backend: Backend) =>
    (await backend.rows('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))[0]![0];

  test('works by SCRAM, md5, password and trust', async () => {
    for (const user of ['scram', 'md', 'plain']) {
      const backend = await log(url('?sslmode=disable'), user, 'pencil');
      assert.deepEqual(await backend.rows('SELECT current_user::text'), [[user]]);
      await assert.rejects(
        log(url('?sslmode=disable'), user, 'wrong'),
        /shard "a" refused the connection: password authentication failed/,
      );
      await assert.rejects(log(url('?sslmode=disable'), user, undefined), /asks for a password of user/);
    }
    assert.equal(await encrypted(await log(url('?sslmode=disable'), 'trusted', undefined)), 'f');
  });

  test('encrypts by default where the server can, and verifies what it is asked to', async () => {
    assert.equal(await encrypted(await log(url(), 'trusted', undefined)), 't');
    assert.equal(await encrypted(await log(url('?sslmode=require'), 'scram', 'pencil')), 't');
    const ca = `sslrootcert=${certificate('ca.crt')}`;
    assert.equal(await encrypted(await log(url(`?sslmode=verify-full&${ca}`), 'trusted', undefined)), 't');
    const other = `sslrootcert=${certificate('stranger.crt')}`;
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      await assert.rejects(log(url(`?sslmode=${mode}&${other}`), 'trusted', undefined), (error: unknown) => {
        assert.ok(error instanceof OperatingError);
        assert.equal(error.code, 'shard-connect-failed');
        return /certificate/.test(error.message);
      });
    }
    const byOtherName = server.url().replace('127.0.0.1', '127.0.0.2');
    await assert.rejects(log(`${byOtherName}?sslmode=verify-full&${ca}`, 'trusted', undefined));
  });

  test('binds SCRAM to the encrypted channel, and insists on it when told to', async () => {
    assert.equal(
      await encrypted(await log(url('?sslmode=require&channel_binding=require'), 'secure', 'pencil')),
      't',
    );
    await assert.rejects(
      log(url('?sslmode=require&channel_binding=require'), 'secure', 'wrong'),
      /password authentication failed/,
    );
    assert.equal(
      await encrypted(await log(url('?sslmode=require&channel_binding=disable'), 'secure', 'pencil')),
      't',
    );
    await assert.rejects(
      log(url('?sslmode=disable&channel_binding=require'), 'scram', 'pencil'),
      /no channel binding/,
    );
    await assert.rejects(
      log(url('?sslmode=require&channel_binding=require'), 'trusted', undefined),
      /asked for no password/,
    );
  });

  test('cancels over an encrypted connection too', async () => {
    const backend = await log(url('?sslmode=require'), 'trusted', undefined);
    const sleeping = assert.rejects(backend.rows('SELECT pg_sleep(20)'), /canceling/);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await backend.cancel();
    await sleeping;
  });
});

describe('clients proving who they are', () => {
  const rule = (facts: Partial<LoginRule>): LoginRule => ({
    auth: 'scram',
    password: undefined,
    scram: undefined,
    ...facts,
  });

  async function door(options: Parameters<typeof TestDoor.open>[0]): Promise<TestDoor> {
    const opened = await TestDoor.open(options);
    doors.push(opened);
    return opened;
  }

  /** What node-postgres says: the text of its first query, or the error. */
  async function come(
    at: TestDoor,
    password: string,
    config: pg.ClientConfig = {},
    user = 'app',
  ): Promise<string> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: at.port,
      user,
      password,
      database: 'shop',
      ...config,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      const result = await client.query('SELECT 1');
      await client.end();
      return result.rows[0].text;
    } catch (error) {
      return (error as Error).message;
    }
  }

  const rules: [string, LoginRule][] = [
    ['SCRAM by a password', rule({ password: 'pencil' })],
    ['SCRAM by a verifier', rule({ scram: VERIFIER })],
    ['md5', rule({ auth: 'md5', password: 'pencil' })],
  ];
  for (const [name, given] of rules) {
    test(`are let in by ${name} with the right password only`, async () => {
      const at = await door({ rule: given });
      assert.equal(await come(at, 'pencil'), 'SELECT 1');
      assert.equal(await come(at, 'Pencil'), 'password authentication failed for user "app"');
      const backend = await log(`postgres://127.0.0.1:${at.port}/shop`, 'app', 'pencil');
      assert.ok(!backend.isBroken);
    });
  }

  test('are never let in without a password in the rule, with an empty one, or unknown; all hear the same', async () => {
    for (const given of [
      rule({}),
      rule({ password: '' }),
      rule({ scram: 'nonsense' }),
      rule({ auth: 'md5' }),
      undefined,
    ]) {
      const at = await door({ rule: given });
      assert.equal(await come(at, 'pencil'), 'password authentication failed for user "app"');
    }
  });

  test('cannot tell an unknown user by its salt', async () => {
    const salts = new Set<string>();
    const at = await door({
      authorize: (user) => (user === 'app' ? rule({ password: 'pencil' }) : undefined),
    });
    const { ScramClient } = await import('../../src/postgres/scram.js');
    const { RawClient } = await import('../fakes/raw-client.js');
    const messages = await import('../../src/postgres/frontend-messages.js');
    for (let n = 0; n < 3; n++) {
      const client = await RawClient.connect(at.port);
      client.send(messages.encodeStartupMessage(new Map([['user', 'nobody']])));
      await client.until(() => client.codes === 'R');
      client.send(
        messages.encodeSASLInitialResponse(
          'SCRAM-SHA-256',
          Buffer.from(new ScramClient('n', undefined, 'n').first()),
        ),
      );
      await client.until(() => client.codes === 'RR');
      salts.add(/s=([^,]+)/.exec(client.frames[1]!.toString())![1]!);
      client.socket.destroy();
    }
    assert.equal(salts.size, 1);
  });

  test('bind to the encrypted channel', async () => {
    const at = await door({ rule: rule({ password: 'pencil' }), tls: serverTls() });
    const ssl = { rejectUnauthorized: false };
    assert.equal(
      await come(at, 'pencil', { ssl, enableChannelBinding: true } as pg.ClientConfig),
      'SELECT 1',
    );
    assert.equal(
      await come(at, 'wrong', { ssl, enableChannelBinding: true } as pg.ClientConfig),
      'password authentication failed for user "app"',
    );
    assert.equal(await come(at, 'pencil', { ssl }), 'SELECT 1');
    await log(
      `postgres://127.0.0.1:${at.port}/shop?sslmode=verify-full&channel_binding=require&sslrootcert=${certificate('ca.crt')}`,
      'app',
      'pencil',
    );
    assert.ok(at.frontends.every((frontend) => frontend.isEncrypted));
  });

  test('use plain SCRAM where the certificate has no channel binding', async () => {
    const at = await door({ rule: rule({ password: 'pencil' }), tls: serverTls({ name: 'ed25519' }) });
    assert.equal(await come(at, 'pencil', { ssl: { rejectUnauthorized: false } }), 'SELECT 1');
  });
});
