import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mariadb from 'mariadb';
import { CAPABILITY, COM, FIELD_TYPE, MARIADB_CAPABILITY } from '../../src/mysql/capabilities.js';
import { encodePrepare, encodeQuery } from '../../src/mysql/commands.js';
import { encodePacket } from '../../src/mysql/packets.js';
import { Writer } from '../../src/mysql/wire.js';
import { lastFirst } from '../cluster.js';
import { startRingferry } from '../integration/harness.js';
import { type MysqlServer, runMysql, startMariadb } from '../mariadb.js';
import { bulk, DEFAULT, IGNORE, prepareAndBulk } from './bulk-commands.js';
import { type Command, conversation } from './conversation.js';
import { CAPABILITIES, RawClient } from './raw-client.js';

const atEnd = lastFirst(after);
const [a] = await startMariadb(atEnd, { count: 1 });
await runMysql(a!.url(''), 'CREATE DATABASE shop');
const start = (mode: string, shards: Record<string, MysqlServer>) =>
  startRingferry(atEnd, { engine: 'mysql', shards, pool: { mode } });
const doors = {
  transaction: await start('transaction', { a: a! }),
  session: await start('session', { a: a! }),
};

const FACTS = {
  capabilities: (CAPABILITIES & ~CAPABILITY.LONG_PASSWORD) >>> 0,
  mariadbCapabilities: MARIADB_CAPABILITY.STMT_BULK_OPERATIONS,
};

const TABLES = [
  'DROP TABLE IF EXISTS t, numbered, sum',
  "CREATE TABLE t (id int PRIMARY KEY, name varchar(10) DEFAULT 'none', n int NOT NULL DEFAULT 5)",
  'CREATE TABLE numbered (id int AUTO_INCREMENT PRIMARY KEY, name varchar(10))',
];

const said = (...texts: string[]): Command[] => texts.map((text) => encodeQuery(text));
const TYPES = [FIELD_TYPE.LONG, FIELD_TYPE.VAR_STRING];
const LONG_AND_TEXT = { types: TYPES };

/** What MariaDB 10.11 takes and refuses, and what it leaves behind. */
const COMMANDS: readonly Command[] = [
  ...prepareAndBulk('INSERT INTO t (id, name) VALUES (?, ?)', [
    [1, 'a'],
    [2, null],
    [3, DEFAULT],
    [4, IGNORE],
  ]),
  bulk(
    [
      [5, 'b'],
      [6, 'c'],
    ],
    { flags: 0 },
  ),
  bulk([
    [7, 'b'],
    [1, 'again'],
    [8, 'c'],
  ]),
  bulk([[9, 'one']]),
  bulk([
    [10, 'b'],
    [11, 'far too long for it'],
  ]),
  ...said('SHOW WARNINGS', 'SELECT * FROM t ORDER BY id'),
  ...prepareAndBulk('INSERT IGNORE INTO t (id, name) VALUES (?, ?)', [
    [20, 'a'],
    [1, 'x'],
    [21, 'b'],
  ]),
  ...said('SHOW WARNINGS'),
  ...prepareAndBulk(
    'INSERT INTO t (id, n) VALUES (?, ?)',
    [
      [30, DEFAULT],
      [31, IGNORE],
      [32, 1],
    ],
    {
      types: [FIELD_TYPE.LONG, FIELD_TYPE.LONG],
    },
  ),
  ...prepareAndBulk('INSERT INTO numbered (name) VALUES (?)', [['a'], ['b'], ['c']]),
  ...said('SELECT LAST_INSERT_ID()'),
  ...prepareAndBulk(
    'INSERT INTO numbered (id, name) VALUES (?, ?)',
    [
      [null, 'a'],
      [100, 'b'],
      [null, 'c'],
    ],
    LONG_AND_TEXT,
  ),
  ...said('SELECT LAST_INSERT_ID()'),
  bulk([
    [200, 'a'],
    [300, 'b'],
  ]),
  ...said('SELECT LAST_INSERT_ID()', 'SELECT * FROM numbered ORDER BY id'),
  ...prepareAndBulk('INSERT INTO numbered (name) VALUES (?), (?)', [
    ['m', 'n'],
    ['o', 'p'],
  ]),
  ...prepareAndBulk('INSERT INTO t (id, name) VALUES (?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name)', [
    [1, 'z'],
    [2, 'y'],
    [50, 'n'],
    [1, 'z'],
  ]),
  ...prepareAndBulk('INSERT INTO t (id, name) VALUES (?, ?) RETURNING id, name', [
    [60, 'z'],
    [61, 'y'],
  ]),
  bulk([
    [70, 'z'],
    [61, 'y'],
    [71, 'x'],
  ]),
  ...prepareAndBulk('REPLACE INTO t (id, name) VALUES (?, ?)', [
    [60, 'v'],
    [61, 'w'],
    [62, 'x'],
  ]),
  ...prepareAndBulk('INSERT INTO t SET id = ?, name = ?', [
    [80, 'a'],
    [81, 'b'],
  ]),
  ...prepareAndBulk('UPDATE t SET name = ? WHERE id = ?', [
    ['u', 1],
    ['v', 2],
    ['v', 2],
    ['w', 999],
  ]),
  bulk(
    [
      [DEFAULT, 1],
      [IGNORE, 2],
      [null, 3],
    ],
    { types: [FIELD_TYPE.VAR_STRING, FIELD_TYPE.LONG] },
  ),
  bulk([
    ['q', 1],
    ['far too long for it', 2],
    ['r', 3],
  ]),
  ...said('SELECT * FROM t ORDER BY id'),
  ...prepareAndBulk('DELETE FROM t WHERE id = ?', [[1], [2], [777]]),
  ...prepareAndBulk('DELETE FROM t WHERE id = ? RETURNING id', [[60], [61]]),
  ...said('BEGIN'),
  ...prepareAndBulk('UPDATE t SET id = ? WHERE id = ?', [
    [1001, 3],
    [5, 4],
    [1003, 6],
  ]),
  ...said('SELECT id FROM t ORDER BY id', 'ROLLBACK', "SET sql_mode = ''"),
  ...prepareAndBulk('UPDATE t SET name = ? WHERE id = ?', [
    ['far too long for it', 3],
    ['x', 4],
  ]),
  ...said('SHOW WARNINGS', 'SELECT * FROM t ORDER BY id'),
  ...prepareAndBulk('SELECT ? AS x', [[1], [2]]),
  ...prepareAndBulk('SET @x = ?', [[1], [2]]),
  ...prepareAndBulk('INSERT INTO numbered (name) SELECT ?', [['a'], ['b']]),
  ...prepareAndBulk('INSERT INTO t (id) VALUES (90)', [[]]),
  ...prepareAndBulk('INSERT INTO t (id, name) VALUES (?, ?)', [[91, 'a']], { flags: 0 }),
  bulk([], LONG_AND_TEXT),
  bulk([[92, 'a']], { flags: 128 | 64 }),
  bulk([[93, 'a']], { flags: 128 | 1 }),
  bulk([[94, { indicator: 9 }]]),
  () => bulk([[95, 'a']])(4_000_000),
  (statement) => encodePacket(new Writer().int1(COM.STMT_BULK_EXECUTE).int4(statement).int1(0).finish()),
  ...prepareAndBulk("INSERT INTO t (id, name) VALUES (?, CONCAT(?, 'x'))", [
    [96, 'a'],
    [97, DEFAULT],
  ]),
  // The statement that was prepared last, in one write with it.
  () => {
    const prepare = encodePrepare('INSERT INTO t (id, name) VALUES (?, ?)');
    const sets = [
      [110, 'a'],
      [111, 'b'],
    ];
    return Buffer.concat([prepare, bulk(sets)(0xffffffff)]);
  },
  (statement) => {
    const long = new Writer().int1(COM.STMT_SEND_LONG_DATA).int4(statement).int2(1).text('long').finish();
    return Buffer.concat([encodePacket(long), bulk([[98, 'a']])(statement)]);
  },
  bulk([
    [99, 'a'],
    [100, 'b'],
  ]),
  ...said('SELECT * FROM t ORDER BY id'),
];

describe('COM_STMT_BULK_EXECUTE on one shard', () => {
  for (const [name, door] of Object.entries(doors))
    for (const form of [0, CAPABILITY.DEPRECATE_EOF | CAPABILITY.SESSION_TRACK])
      test(`is answered byte by byte as by the server itself (${name}, form ${form})`, async () => {
        const facts = { ...FACTS, capabilities: (FACTS.capabilities | form) >>> 0 };
        await runMysql(a!.url('shop'), ...TABLES);
        const direct = await conversation(a!.port, facts, COMMANDS);
        await runMysql(a!.url('shop'), ...TABLES);
        const proxied = await conversation(door.ports.mysql!, facts, COMMANDS);
        for (const [index, command] of COMMANDS.entries())
          assert.deepEqual(
            proxied[index],
            direct[index],
            `${index}: ${typeof command === 'function' ? command(0).toString('latin1') : String(command)}`,
          );
      });

  test('of a client that has not said that it would send it is refused as by the server', async () => {
    const commands = prepareAndBulk('INSERT INTO t (id, name) VALUES (?, ?)', [[1, 'a']]);
    const plain = { capabilities: CAPABILITIES };
    const direct = await conversation(a!.port, plain, commands);
    for (const door of Object.values(doors))
      assert.deepEqual(await conversation(door.ports.mysql!, plain, commands), direct);
  });

  test('leaves LAST_INSERT_ID() to the statements behind it, whichever connection they run on', async () => {
    await runMysql(a!.url('shop'), ...TABLES);
    const door = doors.transaction;
    const commands = [
      ...prepareAndBulk('INSERT INTO numbered (name) VALUES (?)', [['a'], ['b']]),
      ...said('SELECT LAST_INSERT_ID()'),
    ];
    const others = await Promise.all(
      Array.from({ length: 8 }, () => conversation(door.ports.mysql!, FACTS, commands)),
    );
    const numbers = others.map((answers) => Number(/(\d+)$/.exec(answers[2]![3]!)![1]));
    const rows = await runMysql(a!.url('shop'), "SELECT id FROM numbered WHERE name = 'a' ORDER BY id");
    assert.deepEqual(
      numbers.sort((x, y) => x - y),
      rows.map(({ id }) => id),
    );
  });
});

describe('the capability', () => {
  const offered = async (port: number) => {
    const client = await RawClient.connect(port);
    const { mariadbCapabilities } = await client.greeting();
    client.socket.destroy();
    return (mariadbCapabilities & MARIADB_CAPABILITY.STMT_BULK_OPERATIONS) !== 0;
  };

  test('is offered where the servers have it, to the first client too', async () => {
    const fresh = await start('transaction', { a: a! });
    for (const { ports } of [fresh, ...Object.values(doors)]) assert.equal(await offered(ports.mysql!), true);
  });

  test('is not offered where no server can be reached, nor where clients are to speak as with MySQL', async () => {
    const [gone] = await startMariadb(atEnd, { count: 1 });
    const unreachable = await start('transaction', { a: gone! });
    await gone!.stop();
    assert.equal(await offered(unreachable.ports.mysql!), false);
    const asMysql = await startRingferry(atEnd, {
      engine: 'mysql',
      shards: { a: a! },
      config: { mysql: { server_version: '8.0.36' } },
    });
    assert.equal(await offered(asMysql.ports.mysql!), false);
  });
});

describe('batch() of the mariadb connector', () => {
  const where = (port: number) => ({
    host: '127.0.0.1',
    port,
    user: 'root',
    database: 'shop',
    checkDuplicate: false,
  });
  const rows = Array.from({ length: 3000 }, (_, n) => [n, n % 5 === 0 ? null : `r${n % 70}`]);
  const BATCHES: readonly (readonly [string, unknown[][]])[] = [
    ['INSERT INTO t (id, name) VALUES (?, ?)', rows],
    [
      'INSERT INTO t (id, name) VALUES (?, ?)',
      [
        [4000, 'a'],
        ['4001', 'b'],
        [4002n, 'c'],
      ],
    ],
    [
      'INSERT INTO t (id, name) VALUES (?, ?)',
      [
        [5000, 'a'],
        [1, 'b'],
      ],
    ],
    ['INSERT INTO numbered (name) VALUES (?)', [['a'], ['b'], ['c']]],
    ['INSERT INTO numbered (name) VALUES (?) RETURNING id, name', [['d'], ['e']]],
    [
      'UPDATE t SET name = ? WHERE id = ?',
      [
        ['x', 1],
        ['y', 2],
        ['z', 9999],
      ],
    ],
    ['DELETE FROM t WHERE id = ?', [[1], [2], [9999]]],
    ['SELECT ? AS x', [[1], [2]]],
  ];

  async function results(port: number): Promise<unknown[]> {
    const connection = await mariadb.createConnection(where(port));
    try {
      const found: unknown[] = [];
      for (const [sql, values] of BATCHES)
        found.push(
          await connection.batch(sql, values).then(
            (result) =>
              JSON.stringify(result, (_key, value) => (typeof value === 'bigint' ? `${value}n` : value)),
            ({ errno, sqlState, sqlMessage }) => ({ errno, sqlState, sqlMessage }),
          ),
        );
      return found;
    } finally {
      await connection.end();
    }
  }

  for (const [name, door] of Object.entries(doors))
    test(`gives what it gives on a direct connection (${name})`, async () => {
      await runMysql(a!.url('shop'), ...TABLES);
      const direct = await results(a!.port);
      const table = await runMysql(a!.url('shop'), 'SELECT * FROM t ORDER BY id');
      await runMysql(a!.url('shop'), ...TABLES);
      assert.deepEqual(await results(door.ports.mysql!), direct);
      assert.deepEqual(await runMysql(a!.url('shop'), 'SELECT * FROM t ORDER BY id'), table);
    });
});
