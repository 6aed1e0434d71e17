import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { FIELD_TYPE } from '../../../src/mysql/capabilities.js';
import { encodeExecute, encodePrepare } from '../../../src/mysql/commands.js';
import type { ParameterValues } from '../../../src/routing/plan.js';
import { lastFirst } from '../../cluster.js';
import { runMysql } from '../../mariadb.js';
import { DEFAULT, IGNORE, prepareAndBulk } from '../../mysql/bulk-commands.js';
import { conversation } from '../../mysql/conversation.js';
import { BULK_CLIENT, contents, INSERT, range, said, startBoth } from './bulk-fixture.js';

const { direct, sharded, servers, onEach, empty, both, same } = await startBoth(lastFirst(after));

const TEXT_AND_LONG = { types: [FIELD_TYPE.VAR_STRING, FIELD_TYPE.LONG] };

describe('a bulk execution over three shards', () => {
  test('writes each set at the owner of its key, and is answered as by one server', async () => {
    await empty();
    await same(
      ...prepareAndBulk(
        INSERT,
        range(60).map((id) => [id, `row ${id}`]),
      ),
      ...prepareAndBulk(INSERT, [
        [100, DEFAULT],
        [101, IGNORE],
        [102, null],
        [103, 'x'],
        [104, DEFAULT],
      ]),
      ...prepareAndBulk(INSERT, [[110, 'alone']]),
      ...prepareAndBulk(`INSERT IGNORE ${INSERT.slice(7)}`, [
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
        INSERT,
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
        `${INSERT} RETURNING id, name`,
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
      INSERT,
      range(30).map((id) => [id, 'old']),
    );
    await same(...rows, ...prepareAndBulk(INSERT, [...range(20).map((n) => [n + 100, 'new']), [7, 'again']]));
    const update = prepareAndBulk('UPDATE t SET name = ? WHERE id = ?', [
      ...range(30).map((id) => ['new', id]),
      ['much too long for it', 3],
    ]);
    const [, answer] = await conversation(sharded.port, BULK_CLIENT, update);
    assert.match(answer![0]!, /22001Data too long for column 'name'/);
    assert.deepEqual(await contents(sharded.url), await contents(direct.url));
  });

  test('is part of the transaction in which it stands', async () => {
    await empty();
    const rows = (from: number) =>
      prepareAndBulk(
        INSERT,
        range(30).map((id) => [from + id, 'x']),
      );
    const failing = prepareAndBulk(INSERT, [...range(10).map((n) => [500 + n, 'y']), [3, 'again']]);
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
    await same(
      ...prepareAndBulk('INSERT INTO countries (code, name) VALUES (?, ?) RETURNING code', [
        ['r1', 'a'],
        ['r2', 'b'],
      ]),
      ...prepareAndBulk("DELETE FROM countries WHERE code = ? AND name <> 'x' RETURNING name", [
        ['r1'],
        ['r2'],
      ]),
      encodePrepare("INSERT INTO countries (code, name) VALUES ('r3', ?) RETURNING name"),
      (statement) => encodeExecute(statement, oneText('third')),
      encodePrepare("DELETE FROM countries WHERE code = 'r3' AND name = ? RETURNING code"),
      (statement) => encodeExecute(statement, oneText('third')),
    );
    const urls = servers.map((server) => server.url('shop'));
    const copies = await Promise.all(
      urls.map((url) => runMysql(url, 'SELECT * FROM countries ORDER BY code')),
    );
    assert.equal(copies[0]!.length, 13);
    for (const copy of copies) assert.deepEqual(copy, copies[0]);
    await conversation(
      sharded.port,
      BULK_CLIENT,
      prepareAndBulk('INSERT INTO lone (name) VALUES (?)', [['a'], ['b'], ['c']]),
    );
    assert.deepEqual(await onEach('SELECT count(*) FROM lone'), [3, 0, 0]);
  });

  test('warns as one server does, for what is not said of rows by their number', async () => {
    await empty();
    await same(
      ...prepareAndBulk(
        INSERT,
        range(20).map((id) => [id, 'x']),
      ),
    );
    const again = prepareAndBulk(
      `INSERT IGNORE ${INSERT.slice(7)}`,
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
});

/** The parameters of an execution by itself. */
function oneText(value: string): ParameterValues {
  return { count: 1, typeOid: () => FIELD_TYPE.VAR_STRING, format: () => 1, bytes: () => Buffer.from(value) };
}

/** Packets of rows in another order have other numbers. */
function withoutNumber(packet: string): string {
  return packet.slice(packet.indexOf(' ') + 1);
}
