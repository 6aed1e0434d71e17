import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { EngineSessions } from '../../src/mysql/engine-sessions.js';
import { certificate } from '../fakes/door.js';
import { runMysql, startMariadb } from '../mariadb.js';
import { mysql56Folder, startMysql56 } from './mysql56-server.js';

const [[plain], [encrypted]] = await Promise.all([
  startMariadb(after),
  startMariadb(after, {
    settings: {
      'ssl-ca': certificate('ca.crt'),
      'ssl-cert': certificate('server.crt'),
      'ssl-key': certificate('server.key'),
      'plugin-load-add': 'auth_ed25519',
    },
  }),
]);

const cipher = async (url: string): Promise<string> => {
  const session = await EngineSession.connect({ shard: 'a', url });
  try {
    return (await session.rows("SHOW STATUS LIKE 'Ssl_cipher'"))[0]![1]!;
  } finally {
    await session.close();
  }
};

const refuses = (code: string, words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof OperatingError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, words);
  return true;
};

test('encrypts where the server can, as the URL says, and as the proxy does', async () => {
  const url = (query: string) => `${encrypted!.url()}?${query}`;
  assert.notEqual(await cipher(encrypted!.url()), '');
  assert.equal(await cipher(url('ssl-mode=DISABLED')), '');
  assert.equal(await cipher(plain!.url()), '');
  assert.notEqual(await cipher(url(`ssl-mode=VERIFY_CA&ssl-ca=${certificate('ca.crt')}`)), '');
  const noTls = cipher(`${plain!.url()}?sslmode=require`);
  await assert.rejects(noTls, refuses('shard-connect-failed', /secure connection/));
  for (const query of ['ssl-mode=REQUIRED', 'sslmode=verify-ca', ''])
    await assert.rejects(
      cipher(url(`${query}&ssl-ca=${certificate('stranger.crt')}`)),
      refuses('shard-connect-failed', /certificate/),
    );
  await assert.rejects(cipher(url('ssl-mode=perhaps')), refuses('configuration', /perhaps/));
});

test('logs in with the plugin that MariaDB has for itself', async () => {
  await runMysql(encrypted!.url(), "CREATE USER curved IDENTIFIED VIA ed25519 USING PASSWORD('straße 5')");
  await runMysql(encrypted!.url(), 'GRANT ALL ON *.* TO curved');
  const url = (password: string) =>
    encrypted!.url().replace('root@', `curved:${encodeURIComponent(password)}@`);
  assert.notEqual(await cipher(url('straße 5')), '');
  await assert.rejects(cipher(url('strasse')), refuses('shard-connect-failed', /Access denied/));
});

const SETTINGS =
  'SELECT @@time_zone, @@sql_mode, @@autocommit, @@tx_isolation, @@tx_read_only, @@lock_wait_timeout, @@character_set_results';
const FIXED = [
  '+00:00',
  'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION',
  '1',
  'READ-COMMITTED',
  '0',
  '86400',
  'utf8mb4',
];

async function settings(url: string): Promise<string[]> {
  const session = await EngineSession.connect({ shard: 'a', url });
  try {
    const [row] = await session.rows(SETTINGS);
    return [row![0]!, row![1]!.split(',').sort().join(), ...row!.slice(2).map(String)];
  } finally {
    await session.close();
  }
}

test('fixes what could change values, whatever the server is set to', async (t) => {
  const wanted = [FIXED[0], FIXED[1]!.split(',').sort().join(), ...FIXED.slice(2)];
  await runMysql(
    plain!.url(),
    "SET GLOBAL sql_mode = 'ANSI,ORACLE', tx_isolation = 'SERIALIZABLE', time_zone = '+05:00'",
  );
  assert.deepEqual(await settings(plain!.url()), wanted);
  if (mysql56Folder() === undefined) return;
  const ends: (() => Promise<void>)[] = [];
  t.after(async () => {
    for (const end of ends) await end();
  });
  const old = await startMysql56((end) => ends.push(end));
  assert.deepEqual(await settings(old.replace('//', '//root@')), wanted);
});

test('sessions that are kept ready are used again, and a lost one is not', async () => {
  const address = { shard: 'a', url: plain!.url() };
  const sessions = new EngineSessions();
  const id = (): Promise<number> => sessions.use(address, async (session) => session.connectionId);
  await sessions.keepReady(address, 'migration');
  const first = await id();
  assert.equal(await id(), first);
  const held = await Promise.all([1, 2, 3, 4].map(() => sessions.borrow(address)));
  const ids = held.map((session) => session.connectionId);
  assert.ok(ids.includes(first) && new Set(ids).size === 4);
  const newest = Number((await runMysql(plain!.url(), 'SELECT CONNECTION_ID() AS id'))[0]!['id']);
  assert.ok(
    ids.every((each) => each < newest),
    'all of them were connected ahead',
  );
  held[0]!.destroy();
  for (const session of held) sessions.giveBack(session);
  sessions.release(address, 'migration');
  assert.ok(ids.slice(1).includes(await id()));
});
