import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type After, lastFirst } from '../cluster.js';
import type { TestEngine, TestServer } from '../engines.js';
import { type Ringferry, startRingferry } from './harness.js';

/** What the tests say to one kind of server. */
export interface LoginWords {
  /** Servers that look at passwords. */
  start(atEnd: After, count: number): Promise<TestServer[]>;
  /** Makes a user with this password. */
  createUser(name: string, password: string): string;
  /** `bob` gets a session of another kind than others. */
  readonly marksBob: readonly string[];
  /** SELECT of the user and of that mark, as `who`. */
  readonly who: string;
  /** What the mark says of others, and of `bob`. */
  readonly plainMark: string;
  readonly bobsMark: string;
  /** How a server refuses a wrong password, and what a user may not do. */
  readonly wrongPassword: RegExp;
  readonly denied: RegExp;
  /** The name of a user in GRANT. */
  nameOf(user: string): string;
}

const USERS = [
  { name: 'ann', password: 'of ann' },
  { name: 'bob', password: 'of bob' },
  { name: 'eve', password: 'not what the server knows' },
];

/** Clients that are logged in to the servers as themselves, as their `backend_user`, or as the user of the URL. */
export async function testOwnLogins(engine: TestEngine, words: LoginWords): Promise<void> {
  const { protocol } = engine.demo;
  const atEnd = lastFirst(after);
  const servers = (await words.start(atEnd, 2)) as [TestServer, TestServer];
  const superuser = new URL(servers[0].url()).username;
  for (const server of servers)
    await engine.run(
      server.url(engine.database),
      ...USERS.map(({ name }) => words.createUser(name, `of ${name}`)),
      ...words.marksBob,
      'CREATE TABLE people (id int PRIMARY KEY, name varchar(40))',
      `GRANT SELECT, INSERT ON people TO ${words.nameOf('ann')}`,
      `GRANT SELECT ON people TO ${words.nameOf('bob')}`,
    );

  const bare = servers.map((server) => server.url(engine.database).replace(`${superuser}@`, ''));
  const named = bare.map((url) => url.replace('://', `://${superuser}@`));
  const open = (mode: string, shards: Record<string, string>, users: readonly unknown[], tables?: object) =>
    startRingferry(atEnd, {
      engine: protocol,
      shards,
      users,
      pool: { mode },
      ...(tables === undefined ? {} : { tables: tables as Record<string, unknown> }),
    });

  /** A client's rows of this statement. */
  const as = (
    { ports }: Ringferry,
    user: string,
    password: string,
    ...sql: string[]
  ): Promise<Record<string, unknown>[]> => {
    const login = `${user}:${encodeURIComponent(password)}`;
    return engine.run(`${protocol}://${login}@127.0.0.1:${ports[protocol]}/${engine.database}`, ...sql);
  };
  const whoIs = async (ringferry: Ringferry, user: string, password: string): Promise<string> =>
    String((await as(ringferry, user, password, words.who))[0]!['who']);

  // Everything is started before the first test: its end must not be the end of all that are known so far.
  const doors: { readonly mode: string; readonly own: Ringferry; readonly ofUrl: Ringferry }[] = [];
  for (const mode of ['session', 'transaction'])
    doors.push({
      mode,
      own: await open(mode, { a: bare[0]! }, USERS),
      ofUrl: await open(mode, { a: named[0]! }, USERS),
    });
  const sharded = await open(
    'transaction',
    { a: named[0]!, b: named[1]! },
    [
      { name: 'reader', password: 'r', backend_user: 'bob', backend_password: 'of bob' },
      { name: 'writer', password: 'w', backend_user: 'ann', backend_password: 'of ann' },
      { name: 'other', password: 'o' },
    ],
    { people: { key: 'id' } },
  );

  for (const { mode, own, ofUrl } of doors) {
    test(`a shard whose URL names no user is logged in to as the client, with its password, in ${mode} mode`, async () => {
      for (let turn = 0; turn < 2; turn++) {
        assert.equal(await whoIs(own, 'ann', 'of ann'), `ann ${words.plainMark}`);
        assert.equal(await whoIs(own, 'bob', 'of bob'), `bob ${words.bobsMark}`);
      }
      await assert.rejects(whoIs(own, 'eve', 'not what the server knows'), words.wrongPassword);
    });

    test(`a shard whose URL names one is logged in to as that one, in ${mode} mode`, async () => {
      assert.equal(await whoIs(ofUrl, 'ann', 'of ann'), `${superuser} ${words.plainMark}`);
      assert.equal(await whoIs(ofUrl, 'bob', 'of bob'), `${superuser} ${words.plainMark}`);
    });
  }

  test('over shards each client may do what its backend_user may, whoever used the pools before', async () => {
    for (let turn = 0; turn < 2; turn++) {
      const rows = Array.from({ length: 20 }, (_, nth) => `(${turn * 100 + nth}, 'n${nth}')`);
      const insert = `INSERT INTO people VALUES ${rows}`;
      await assert.rejects(as(sharded, 'reader', 'r', insert), words.denied);
      await as(sharded, 'writer', 'w', insert);
      await assert.rejects(as(sharded, 'writer', 'w', 'DELETE FROM people WHERE id = 1'), words.denied);
      await assert.rejects(as(sharded, 'writer', 'w', 'DELETE FROM people'), words.denied);
      await as(sharded, 'other', 'o', `INSERT INTO people VALUES (${turn * 100 + 50}, 'other')`);
      for (const [user, password] of [
        ['reader', 'r'],
        ['writer', 'w'],
        ['other', 'o'],
      ] as const) {
        const [counted] = await as(sharded, user, password, 'SELECT count(*) AS n FROM people');
        assert.equal(Number(counted!['n']), 21 * (turn + 1), user);
        assert.equal(
          (await whoIs(sharded, user, password)).split(' ')[0],
          { reader: 'bob', writer: 'ann', other: superuser }[user],
        );
      }
    }
  });
}
