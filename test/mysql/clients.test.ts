import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import * as mariadb from 'mariadb';
import mysql from 'mysql2/promise';
import { OperatingError } from '../../src/lib/errors.js';
import { type ClientDoorOptions, openClientDoor, password, until } from './client-door.js';

const run = promisify(execFile);
const SECRET = 'sécret wörd';

type T = { after: (act: () => Promise<void>) => void };
const after = (t: T) => (act: () => Promise<void>) => t.after(act);

/** What the mariadb command line client prints for one text. */
async function cli(port: number, sql: string, ...options: string[]): Promise<string> {
  const args = [
    '--no-defaults',
    '-h127.0.0.1',
    `-P${port}`,
    '-uann',
    '--skip-ssl',
    ...options,
    '-e',
    sql,
    'shop',
  ];
  const { stdout } = await run('mariadb', args, { timeout: 10_000 });
  return stdout;
}

async function withMysql2<R>(
  port: number,
  options: mysql.ConnectionOptions,
  act: (connection: mysql.Connection) => Promise<R>,
): Promise<R> {
  const connection = await mysql.createConnection({
    host: '127.0.0.1',
    port,
    user: 'ann',
    database: 'shop',
    ...options,
  });
  try {
    return await act(connection);
  } finally {
    await connection.end();
  }
}

async function withMariadb<R>(
  port: number,
  options: mariadb.ConnectionConfig,
  act: (connection: mariadb.Connection) => Promise<R>,
): Promise<R> {
  const connection = await mariadb.createConnection({
    host: '127.0.0.1',
    port,
    user: 'ann',
    database: 'shop',
    ...options,
  });
  try {
    return await act(connection);
  } finally {
    await connection.end();
  }
}

describe('a client logs in', () => {
  const rule = password(SECRET);

  test('with its password: mysql2, mariadb connector, command line, with and without TLS', async (t) => {
    const door = await openClientDoor(after(t), { rule, isEncrypted: true });
    const ssl = { rejectUnauthorized: false };
    for (const tls of [{}, { ssl }]) {
      const [rows] = await withMysql2(door.port, { password: SECRET, ...tls }, (c) => c.query('select 1'));
      assert.deepEqual(rows, [{ text: 'select 1' }]);
      const maria = await withMariadb(door.port, { password: SECRET, ...tls }, (c) => c.query('select 2'));
      assert.deepEqual([...maria], [{ text: 'select 2' }]);
    }
    assert.equal(await cli(door.port, 'select 3', `-p${SECRET}`), 'text\nselect 3\n');
    assert.equal(await cli(door.port, 'select 4', `-p${SECRET}`, '--ssl'), 'text\nselect 4\n');
    assert.deepEqual(
      door.frontends.map(({ isEncrypted }) => isEncrypted),
      [false, false, true, true, false, true],
    );
  });

  for (const plugin of ['mysql_native_password', 'caching_sha2_password', 'client_ed25519']) {
    test(`by ${plugin}, and not with another password`, async (t) => {
      const door = await openClientDoor(after(t), { rule });
      const option = `--default-auth=${plugin}`;
      assert.equal(await cli(door.port, 'select 1', `-p${SECRET}`, option), 'text\nselect 1\n');
      const wrong = cli(door.port, 'select 1', '-pwrong', option);
      await assert.rejects(
        wrong,
        /ERROR 1045 \(28000\): Access denied for user 'ann'@'127.0.0.1' \(using password: YES\)/,
      );
    });
  }

  const refusals: [
    string,
    ClientDoorOptions,
    string,
    { errno: number; sqlState: string; message: RegExp },
  ][] = [
    [
      'a wrong password',
      { rule },
      'wrong',
      { errno: 1045, sqlState: '28000', message: /using password: YES/ },
    ],
    ['no password', { rule }, '', { errno: 1045, sqlState: '28000', message: /using password: NO/ }],
    [
      'an unknown user',
      { rule: undefined },
      SECRET,
      { errno: 1045, sqlState: '28000', message: /Access denied for user 'ann'/ },
    ],
    [
      'a user with a SCRAM verifier only',
      { rule: { auth: 'scram', password: undefined, scram: 'SCRAM-SHA-256$4096:…' } },
      SECRET,
      { errno: 1045, sqlState: '28000', message: /Give the user a password/ },
    ],
    [
      'an unknown database',
      { rule: { ...rule, refusal: new OperatingError('unknown-database', "Unknown database 'shop'") } },
      SECRET,
      { errno: 1049, sqlState: '42000', message: /Unknown database 'shop'/ },
    ],
    [
      'one client too many',
      { rule: new OperatingError('too-many-clients', 'sorry, too many clients already') },
      SECRET,
      { errno: 1040, sqlState: '08004', message: /too many/ },
    ],
    [
      'no TLS where it is required',
      { rule, isTlsRequired: true },
      SECRET,
      { errno: 1045, sqlState: '28000', message: /encrypted/ },
    ],
  ];
  for (const [what, options, secret, { errno, sqlState, message }] of refusals) {
    test(`not: ${what}`, async (t) => {
      const door = await openClientDoor(after(t), options);
      await assert.rejects(
        withMysql2(door.port, { password: secret }, async () => {}),
        { errno, sqlState, message },
      );
      await assert.rejects(
        withMariadb(door.port, { password: secret }, async () => {}),
        { errno, sqlState },
      );
      assert.equal(door.frontends.length, 0);
    });
  }

  test('of a trusted user without any, also by caching_sha2_password', async (t) => {
    const door = await openClientDoor(after(t));
    assert.equal(
      await cli(door.port, 'select 1', '-pany', '--default-auth=caching_sha2_password'),
      'text\nselect 1\n',
    );
    assert.equal(await cli(door.port, 'select 1'), 'text\nselect 1\n');
  });

  test('and says its database, character set and FOUND_ROWS', async (t) => {
    const door = await openClientDoor(after(t), { defaultDatabase: () => 'first' });
    await withMysql2(
      door.port,
      { flags: ['-FOUND_ROWS', '-IGNORE_SPACE'], charset: 'LATIN1_SWEDISH_CI' },
      async () => {},
    );
    await withMysql2(
      door.port,
      { database: undefined as unknown as string, flags: ['FOUND_ROWS'] },
      async () => {},
    );
    assert.deepEqual(
      [...door.frontends[0]!.identity.startup],
      [
        ['collation_id', '8'],
        ['extended_metadata', '1'],
      ],
    );
    assert.equal(door.frontends[0]!.identity.database, 'shop');
    assert.equal(door.frontends[1]!.identity.database, 'first');
    assert.equal(door.frontends[1]!.identity.startup.get('found_rows'), '1');
  });
});

for (const compress of [false, true]) {
  describe(`a client ${compress ? 'with compression' : ''} works`, () => {
    test('mysql2: results, several statements, errors, status of the transaction', async (t) => {
      const door = await openClientDoor(after(t));
      await withMysql2(door.port, { compress, multipleStatements: true }, async (c) => {
        const [many] = await c.query<mysql.RowDataPacket[]>('rows 20000');
        assert.equal(many.length, 20000);
        assert.deepEqual(many[19999], { text: 'row 19999' });
        const [results] = await c.query('select 1; update x; select 2');
        const [first, ok, last] = results as [unknown, mysql.ResultSetHeader, unknown];
        assert.deepEqual([first, last], [[{ text: 'select 1' }], [{ text: 'select 2' }]]);
        assert.deepEqual([ok.affectedRows, ok.insertId, ok.warningStatus], [3, 7, 1]);
        await assert.rejects(c.query('select 1; fail; select 2'), {
          errno: 1235,
          sqlState: '42000',
          message: 'it fails. Do not.',
        });
        const [begun] = await c.query<mysql.ResultSetHeader>('begin');
        assert.equal(begun.serverStatus & 3, 3);
        await c.ping();
        const [ended] = await c.query<mysql.ResultSetHeader>('commit');
        assert.equal(ended.serverStatus & 3, 2);
      });
      await until(() => door.closes.length > 0);
      assert.deepEqual(door.closes, ['terminated']);
    });

    test('mysql2: prepared statements', async (t) => {
      const door = await openClientDoor(after(t));
      await withMysql2(door.port, { compress }, async (c) => {
        const [rows] = await c.execute<mysql.RowDataPacket[]>('select ?, ?, ?', ['ä', null, 1.5]);
        assert.deepEqual(rows, [{ p0: 'fd:c3a4', p1: null, p2: '5:000000000000f83f' }]);
        const statement = await c.prepare('select ?');
        for (const value of ['a', 'b']) {
          const [again] = await statement.execute([value]);
          assert.deepEqual(again, [{ p0: `fd:${Buffer.from(value).toString('hex')}` }]);
        }
        await statement.close();
        await assert.rejects(c.prepare('fail'), { errno: 1064 });
        await c.query('select 1');
      });
      await until(() => door.closes.length > 0);
      const closed = door.requests
        .flatMap(({ steps }) => steps)
        .filter((step) => step.type === 'close-statement');
      assert.equal(closed.length, 1);
    });

    test('mariadb connector: results, prepared statements, batch, change user, reset', async (t) => {
      const door = await openClientDoor(after(t), { rule: password(SECRET) });
      await withMariadb(door.port, { compress, password: SECRET, multipleStatements: true }, async (c) => {
        assert.deepEqual([...(await c.query('select 1'))], [{ text: 'select 1' }]);
        const several = await c.query('select 1; update x');
        assert.equal(several[1].affectedRows, 3);
        const rows = await c.execute('select ?, ?', [7, 'x']);
        assert.deepEqual([...rows], [{ p0: '3:07000000', p1: 'fd:78' }]);
        const statement = await c.prepare('select ?');
        assert.deepEqual([...(await statement.execute(['y']))], [{ p0: 'fd:79' }]);
        statement.close();
        await c.batch('insert into x values (?)', [[1], [2]]);
        await c.reset();
        await c.changeUser({ user: 'ann', password: SECRET, database: 'shop' });
        assert.deepEqual([...(await c.query('select 2'))], [{ text: 'select 2' }]);
        await assert.rejects(c.query('fail'), { errno: 1235, sqlState: '42000' });
        await c.ping();
      });
    });

    test('command line: several results, an error, a long text', async (t) => {
      const door = await openClientDoor(after(t));
      const options = compress ? ['--compress'] : [];
      assert.equal(
        await cli(door.port, 'select 1; select 2', ...options),
        'text\nselect 1\ntext\nselect 2\n',
      );
      const text = `select ${'x'.repeat(100_000)}`;
      assert.equal(await cli(door.port, text, ...options), `text\n${text}\n`);
      await assert.rejects(cli(door.port, 'fail', ...options), /ERROR 1235 \(42000\) at line 1: it fails/);
    });
  });
}

test('packets longer than 16 MB go both ways', async (t) => {
  const door = await openClientDoor(after(t));
  for (const compress of [false, true]) {
    await withMysql2(door.port, { compress }, async (c) => {
      const text = `select ${'x'.repeat(0xffffff + 1000)}`;
      const [rows] = await c.query<mysql.RowDataPacket[]>(text);
      assert.ok(rows[0]!.text === text);
      assert.deepEqual((await c.query('select 1'))[0], [{ text: 'select 1' }]);
    });
  }
});
