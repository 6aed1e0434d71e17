import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { CAPABILITY, COM, FIELD_TYPE, MARIADB_CAPABILITY } from '../../../src/mysql/capabilities.js';
import { encodeQuery } from '../../../src/mysql/commands.js';
import { lastFirst } from '../../cluster.js';
import { MARIADB_TESTS } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import {
  type BulkOptions,
  type BulkValue,
  DEFAULT,
  IGNORE,
  prepareAndBulk,
} from '../../mysql/bulk-commands.js';
import { type Command, conversation } from '../../mysql/conversation.js';
import { CAPABILITIES } from '../../mysql/raw-client.js';
import { startThreeShards } from './shards.js';

const TABLES: Readonly<Record<string, string>> = {
  t: "id int PRIMARY KEY, name varchar(10) DEFAULT 'none', n int NOT NULL DEFAULT 5",
  words: 'word varchar(20) COLLATE utf8mb4_bin PRIMARY KEY, n int',
  numbered: 'id bigint AUTO_INCREMENT, owner int, name varchar(10), PRIMARY KEY (owner, id), KEY (id)',
  countries: 'code varchar(4) PRIMARY KEY, name varchar(20)',
  lone: 'id int AUTO_INCREMENT PRIMARY KEY, name varchar(10)',
};
const ORDER: Readonly<Record<string, string>> = { words: 'word', countries: 'code' };
const SCHEMA = Object.entries(TABLES).map(([name, columns]) => `CREATE TABLE ${name} (${columns})`);

const atEnd = lastFirst(after);
const [single] = await MARIADB_TESTS.start(atEnd, 1);
await runMysql(single!.url('shop'), ...SCHEMA);
const { ringferry, servers, onEach } = await startThreeShards(atEnd, SCHEMA, {
  t: { key: 'id' },
  words: { key: 'word' },
  numbered: { key: 'owner' },
  countries: { reference: true },
});
const direct = { port: Number(new URL(single!.url('shop')).port), url: single!.url('shop') };
const sharded = { port: ringferry.ports.mysql!, url: ringferry.url() };

const FACTS = {
  capabilities: (CAPABILITIES & ~CAPABILITY.LONG_PASSWORD) >>> 0,
  mariadbCapabilities: MARIADB_CAPABILITY.STMT_BULK_OPERATIONS,
};

const said = (...texts: string[]): Command[] => texts.map((text) => encodeQuery(text));
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

async function empty(): Promise<void> {
  for (const { url } of [direct, sharded])
    await runMysql(url, ...Object.keys(TABLES).map((table) => `DELETE FROM ${table}`));
}

async function contents(url: string): Promise<unknown> {
  const tables = Object.keys(TABLES).map((table) =>
    runMysql(url, `SELECT * FROM ${table} ORDER BY ${ORDER[table] ?? 'id'}`),
  );
  return Promise.all(tables);
}

/** What one server and three answer to the same commands; the tables are the same afterwards. */
async function both(commands: readonly Command[]): Promise<[one: string[][], three: string[][]]> {
  const one = await conversation(direct.port, FACTS, commands);
  const three = await conversation(sharded.port, FACTS, commands);
  assert.deepEqual(await contents(sharded.url), await contents(direct.url));
  return [one, three];
}

/** The answers of three shards are the same bytes as those of one server; only answers to COM_QUERY may have other flags. */
async function same(...commands: Command[]): Promise<void> {
  const [one, three] = await both(commands);
  for (const [index, command] of commands.entries())
    if (typeof command === 'function' || command[4] !== COM.QUERY)
      assert.deepEqual(
        three[index],
        withoutIndexFlag(one[index]),
        typeof command === 'function' ? command(0).toString('latin1') : String(command),
      );
}

/** Prepares, executes and is refused; nothing is left of it. */
async function refused(
  sql: string,
  sets: readonly (readonly BulkValue[])[],
  expected: RegExp,
  options: BulkOptions = {},
): Promise<void> {
  const before = await contents(sharded.url);
  const answers = await conversation(sharded.port, FACTS, prepareAndBulk(sql, sets, options));
  assert.match(answers[1]![0]!, expected);
  assert.deepEqual(await contents(sharded.url), before);
}

const TEXT_AND_LONG = { types: [FIELD_TYPE.VAR_STRING, FIELD_TYPE.LONG] };
const insert = 'INSERT INTO t (id, name) VALUES (?, ?)';

describe('a bulk execution over three shards', () => {
  test('writes each set at the owner of its key, and is answered as by one server', async () => {
    await empty();
    await same(
      ...prepareAndBulk(
        insert,
        range(60).map((id) => [id, `row ${id}`]),
      ),
      ...prepareAndBulk(insert, [
        [100, DEFAULT],
        [101, IGNORE],
        [102, null],
        [103, 'x'],
        [104, DEFAULT],
      ]),
      ...prepareAndBulk(insert, [[110, 'alone']]),
      ...prepareAndBulk(`INSERT IGNORE ${insert.slice(7)}`, [
        [120, 'a'],
        [3, 'x'],
        [121, 'b'],
        [122, 'c'],
        [7, 'y'],
      ]),
      ...prepareAndBulk(
        'REPLACE INTO t (id, name) VALUES (?, ?)',
        range(12).map((n) => [n * 20, 'replaced']),
      ),
      ...prepareAndBulk(
        'INSERT INTO t SET id = ?, name = ?',
        range(9).map((n) => [300 + n, 'set']),
      ),
      ...prepareAndBulk(
        'INSERT INTO words (word, n) VALUES (?, ?)',
        range(30).map((n) => [`word ${n}`, n]),
      ),
    );
    const spread = await onEach('SELECT count(*) FROM t');
    assert.ok(
      spread.every((rows) => rows > 5),
      `rows on the shards: ${spread}`,
    );
  });

  test('updates and deletes by key, by several keys and without one', async () => {
    await empty();
    await same(
      ...prepareAndBulk(
        insert,
        range(60).map((id) => [id, `row ${id % 7}`]),
      ),
      ...prepareAndBulk('UPDATE t SET name = ? WHERE id = ?', [
        ...range(20).map((n) => [`new ${n}`, n * 4]),
        ['new 2', 8],
      ]),
      ...prepareAndBulk(
        'UPDATE t SET name = ? WHERE id = ?',
        [
          [DEFAULT, 1],
          [IGNORE, 2],
          [null, 3],
          ['z', 5],
        ],
        TEXT_AND_LONG,
      ),
      ...prepareAndBulk(
        'UPDATE t SET n = n + ? WHERE id IN (?, ?)',
        range(10).map((n) => [n, n, n + 30]),
      ),
      ...prepareAndBulk(
        'UPDATE t SET n = ? WHERE name = ?',
        range(7).map((n) => [n + 100, `row ${n}`]),
      ),
      ...prepareAndBulk('DELETE FROM t WHERE id = ?', [[1], [2], [3], [50], [999]]),
      ...prepareAndBulk('DELETE FROM t WHERE name = ?', [['row 4'], ['row 6'], ['nobody']]),
    );
  });

  test('gives the rows of RETURNING in the order of their sets', async () => {
    await empty();
    await same(
      ...prepareAndBulk(
        `${insert} RETURNING id, name`,
        range(40).map((n) => [40 - n, `r${n}`]),
      ),
    );
    const sql = 'DELETE FROM t WHERE id = ? RETURNING id';
    const [one, three] = await both(
      prepareAndBulk(
        sql,
        range(20).map((n) => [n * 3]),
      ),
    );
    assert.deepEqual([...three[1]!.map(withoutNumber)].sort(), [...one[1]!.map(withoutNumber)].sort());
  });

  test('is all or nothing, also where a server would have kept what came before an error', async () => {
    await empty();
    const rows = prepareAndBulk(
      insert,
      range(30).map((id) => [id, 'old']),
    );
    await same(...rows, ...prepareAndBulk(insert, [...range(20).map((n) => [n + 100, 'new']), [7, 'again']]));
    const update = prepareAndBulk('UPDATE t SET name = ? WHERE id = ?', [
      ...range(30).map((id) => ['new', id]),
      ['much too long for it', 3],
    ]);
    const [, answer] = await conversation(sharded.port, FACTS, update);
    assert.match(answer![0]!, /22001Data too long for column 'name'/);
    assert.deepEqual(await contents(sharded.url), await contents(direct.url));
  });

  test('is part of the transaction in which it stands', async () => {
    await empty();
    const rows = (from: number) =>
      prepareAndBulk(
        insert,
        range(30).map((id) => [from + id, 'x']),
      );
    const failing = prepareAndBulk(insert, [...range(10).map((n) => [500 + n, 'y']), [3, 'again']]);
    await same(
      ...said('BEGIN'),
      ...rows(0),
      ...said('ROLLBACK'),
      ...said('BEGIN'),
      ...rows(100),
      ...rows(200),
      ...said('COMMIT'),
      ...said('BEGIN'),
      ...rows(0),
      ...failing,
      ...said('COMMIT'),
      ...said('SET autocommit = 0'),
      ...rows(300),
      ...said('ROLLBACK'),
      ...rows(600),
      ...said('COMMIT', 'SET autocommit = 1'),
    );
  });

  test('numbers rows as one server does', async () => {
    await empty();
    const commands = [
      ...prepareAndBulk(
        'INSERT INTO numbered (owner, name) VALUES (?, ?)',
        range(40).map((n) => [n, `n${n}`]),
      ),
      ...said('SELECT LAST_INSERT_ID()'),
      ...prepareAndBulk(
        'INSERT INTO numbered (id, owner, name) VALUES (NULL, ?, ?)',
        range(20).map((n) => [n, `m${n}`]),
      ),
      ...said('SELECT LAST_INSERT_ID()'),
      ...prepareAndBulk(
        'INSERT INTO numbered (owner, name) VALUES (?, ?) ON DUPLICATE KEY UPDATE name = ?',
        range(20).map((n) => [n, `o${n}`, 'other']),
      ),
    ];
    for (const { port, url } of [direct, sharded]) {
      const answers = await conversation(port, FACTS, commands);
      const rows = await runMysql(url, 'SELECT id, owner, name FROM numbered ORDER BY id');
      assert.equal(rows.length, 80);
      assert.deepEqual(
        rows.map((row) => row['name']),
        [
          ...range(40).map((n) => `n${n}`),
          ...range(20).map((n) => `m${n}`),
          ...range(20).map((n) => `o${n}`),
        ],
      );
      const ids = rows.map((row) => Number(row['id']));
      const asked = (answer: string[]) => Number(/(\d+)$/.exec(answer[3]!.slice(2))![1]);
      assert.deepEqual([asked(answers[2]!), asked(answers[5]!)], [ids[0], ids[40]]);
      // OK: affected rows, then the first number.
      assert.deepEqual(
        [...answers[1]![0]!.slice(2, 4)].map((c) => c.charCodeAt(0)),
        [0, 40],
      );
      assert.match(answers[1]![0]!, /Records: 40 {2}Duplicates: 0 {2}Warnings: 0$/);
    }
  });

  test('tells the number of its last row where its sets give them', async () => {
    await empty();
    const sql = 'INSERT INTO numbered (id, owner, name) VALUES (?, ?, ?)';
    await same(
      ...prepareAndBulk(
        sql,
        range(20).map((n) => [300 + n, n, 'up']),
      ),
      ...prepareAndBulk(
        sql,
        range(20).map((n) => [290 - n, n, 'down']),
      ),
      ...prepareAndBulk(sql, [
        [500, 3, 'a'],
        [400, 8, 'b'],
        [450, 1, 'c'],
      ]),
    );
  });

  test('passes over numbers that its sets give by hand', async () => {
    await empty();
    const given = 'INSERT INTO numbered (id, owner, name) VALUES (?, ?, ?)';
    const [row] = await runMysql(sharded.url, 'SELECT 1');
    assert.ok(row !== undefined, 'the proxy answers');
    await conversation(
      sharded.port,
      FACTS,
      prepareAndBulk(
        given,
        range(20).map((n) => [5000 + n, n, 'hand']),
      ),
    );
    await runMysql(sharded.url, "INSERT INTO numbered (owner, name) VALUES (1, 'next')");
    const [next] = await runMysql(sharded.url, "SELECT id FROM numbered WHERE name = 'next'");
    assert.ok(Number(next!['id']) > 5019, `the next number is ${next!['id']}`);
  });

  test('writes reference tables on every shard and home tables at home', async () => {
    await empty();
    await same(
      ...prepareAndBulk(
        'INSERT INTO countries (code, name) VALUES (?, ?)',
        range(15).map((n) => [`c${n}`, `land ${n}`]),
      ),
      ...prepareAndBulk(
        'UPDATE countries SET name = ? WHERE code = ?',
        range(5).map((n) => [`new ${n}`, `c${n}`]),
      ),
      ...prepareAndBulk('DELETE FROM countries WHERE code = ?', [['c1'], ['c2'], ['none']]),
      ...prepareAndBulk('INSERT INTO countries (code, name) VALUES (?, ?)', [
        ['d1', 'x'],
        ['c4', 'again'],
      ]),
      ...prepareAndBulk('UPDATE lone SET name = ? WHERE id = ?', [
        ['x', 1],
        ['y', 2],
      ]),
    );
    const urls = servers.map((server) => server.url('shop'));
    const copies = await Promise.all(
      urls.map((url) => runMysql(url, 'SELECT * FROM countries ORDER BY code')),
    );
    assert.equal(copies[0]!.length, 13);
    for (const copy of copies) assert.deepEqual(copy, copies[0]);
    await conversation(
      sharded.port,
      FACTS,
      prepareAndBulk('INSERT INTO lone (name) VALUES (?)', [['a'], ['b'], ['c']]),
    );
    assert.deepEqual(await onEach('SELECT count(*) FROM lone'), [3, 0, 0]);
  });

  test('warns as one server does, for what is not said of rows by their number', async () => {
    await empty();
    await same(
      ...prepareAndBulk(
        insert,
        range(20).map((id) => [id, 'x']),
      ),
    );
    const again = prepareAndBulk(
      `INSERT IGNORE ${insert.slice(7)}`,
      range(25).map((id) => [id, 'y']),
    );
    const [one, three] = await both([...again, ...said('SHOW WARNINGS')]);
    assert.deepEqual(three[1], one[1]);
    const messages = (answer: string[]) =>
      answer
        .filter((packet) => packet.includes('Duplicate entry'))
        .map(withoutNumber)
        .sort();
    assert.equal(messages(one[2]!).length, 20);
    assert.deepEqual(messages(three[2]!), messages(one[2]!));
  });

  test('is refused where it cannot be right, and says what to do', async () => {
    await empty();
    await runMysql(sharded.url, "INSERT INTO t (id, name) VALUES (1, 'a'), (2, 'b')");
    await refused('SELECT ? AS x', [[1], [2]], /bulk execution of SELECT. Execute it once for each set/);
    await refused('SET @x = ?', [[1], [2]], /bulk execution of SET. Execute it once for each set/);
    await refused(
      insert,
      [
        [10, 'a'],
        [DEFAULT, 'b'],
      ],
      /DEFAULT as a parameter.* Give the parameter a value/,
    );
    await refused(
      'DELETE FROM t WHERE id = ?',
      [[1], [IGNORE]],
      /IGNORE as a parameter.* Give the parameter a value/,
    );
    await refused(
      insert,
      [
        [10, 'a'],
        [null, 'b'],
      ],
      /NULL as its shard key/,
    );
    await refused(
      'INSERT INTO t (id, name) VALUES (?, ?), (?, ?), (?, ?), (?, ?)',
      [[1000, 'a', 1001, 'b', 1002, 'c', 1003, 'd']],
      /rows of several shards. Write one row in VALUES/,
    );
    await refused(
      'UPDATE t SET id = ? WHERE id = ?',
      [
        [50, 1],
        [51, 2],
      ],
      /shard key|"id"/,
    );
    await refused(
      'INSERT INTO numbered (id, owner, name) VALUES (?, ?, ?)',
      [[DEFAULT, 1, 'x']],
      /DEFAULT as a parameter/,
      { types: [FIELD_TYPE.LONG, FIELD_TYPE.LONG, FIELD_TYPE.VAR_STRING] },
    );
  });
});

/** Merged answers do not tell which of the shards used no index (0x20). */
function withoutIndexFlag(packets: string[] | undefined): string[] | undefined {
  const [first, ...rest] = packets ?? [];
  return first === undefined ? undefined : [first.replace('"\0\0\0', '\x02\0\0\0'), ...rest];
}

/** Packets of rows in another order have other numbers. */
function withoutNumber(packet: string): string {
  return packet.slice(packet.indexOf(' ') + 1);
}
