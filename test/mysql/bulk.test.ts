import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { CAPABILITY, COM, FIELD_TYPE, MARIADB_CAPABILITY } from '../../src/mysql/capabilities.js';
import { encodeQuery } from '../../src/mysql/commands.js';
import { encodePacket } from '../../src/mysql/packets.js';
import { Writer } from '../../src/mysql/wire.js';
import { lastFirst } from '../cluster.js';
import { startRingferry } from '../integration/harness.js';
import { type MariadbServer, runMysql, startMariadb } from '../mariadb.js';
import { bulk, DEFAULT, IGNORE, prepareAndBulk } from './bulk-commands.js';
import { type Command, conversation } from './conversation.js';
import { CAPABILITIES } from './raw-client.js';

const atEnd = lastFirst(after);
const [a] = await startMariadb(atEnd, { count: 1 });
await runMysql(a!.url(''), 'CREATE DATABASE shop');
const start = (mode: string, shards: Record<string, MariadbServer>) =>
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
    [201, 'b'],
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
    test(`is answered byte by byte as by the server itself (${name})`, async () => {
      await runMysql(a!.url('shop'), ...TABLES);
      const direct = await conversation(a!.port, FACTS, COMMANDS);
      await runMysql(a!.url('shop'), ...TABLES);
      const proxied = await conversation(door.ports.mysql!, FACTS, COMMANDS);
      for (const [index, command] of COMMANDS.entries())
        assert.deepEqual(
          proxied[index],
          direct[index],
          `${index}: ${typeof command === 'function' ? command(0).toString('latin1') : String(command)}`,
        );
    });
});
