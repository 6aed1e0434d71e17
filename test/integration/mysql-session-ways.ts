import assert from 'node:assert/strict';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import type { After } from '../cluster.js';
import { MARIADB_TESTS, type TestServer } from '../engines.js';
import { runMysql } from '../mariadb.js';
import { eventually } from './eventually.js';
import { startRingferry, TEST_WORKERS } from './harness.js';
import { Operator } from './shop.js';

const SCHEMA = [
  'CREATE TABLE people (id int PRIMARY KEY, name varchar(40), at timestamp NULL)',
  'CREATE TABLE log (id int AUTO_INCREMENT PRIMARY KEY, what varchar(40))',
  'CREATE TABLE counted (id int AUTO_INCREMENT PRIMARY KEY, name varchar(40))',
];

/** A Ringferry in transaction mode with few backends, and clients of it. */
export interface SessionWay {
  readonly name: string;
  readonly url: string;
  readonly operator: Operator;
  connect(options?: mysql.ConnectionOptions): Promise<mysql.Connection>;
  connectAs(user: string): Promise<mysql.Connection>;
  /** Why sessions are pinned. */
  pins(): Promise<unknown[]>;
  /** Between two tests: everybody goes, nobody stays pinned, and no row is left. */
  clean(): Promise<void>;
}

/** The tables `people`, which is sharded by its id where there are shards, and `log`: passed through, and over three shards. */
export async function startSessionWays(atEnd: After): Promise<SessionWay[]> {
  const servers = (await MARIADB_TESTS.start(atEnd, 4)) as [TestServer, TestServer, TestServer, TestServer];
  for (const server of servers) await runMysql(server.url(MARIADB_TESTS.database), ...SCHEMA);
  const [a, b, c, whole] = servers;
  const common = {
    engine: 'mysql',
    // Workers divide a pool, and a client that is pinned to one connection must leave its worker's others some.
    pool: { mode: 'transaction', size: 3 * TEST_WORKERS },
    users: ['root', 'app'].map((name) => ({ name, auth: 'trust' })),
  } as const;
  const through = await startRingferry(atEnd, { ...common, shards: { whole } });
  const sharded = await startRingferry(atEnd, {
    ...common,
    shards: { a, b, c },
    tables: { people: { key: 'id' }, counted: { key: 'id' } },
  });
  return [
    sessionWay('passed through in transaction mode', through),
    sessionWay('over three shards', sharded),
  ];
}

function sessionWay(name: string, ringferry: Awaited<ReturnType<typeof startRingferry>>): SessionWay {
  const url = ringferry.url();
  const operator = new Operator(ringferry.ports.admin);
  const connections: mysql.Connection[] = [];
  const connectTo = async (to: string, options: mysql.ConnectionOptions = {}) => {
    const connection = await mysql.createConnection({ uri: to, dateStrings: true, ...options });
    connection.on('error', () => {});
    connections.push(connection);
    return connection;
  };
  const pins = async () =>
    (await operator.run('SHOW CLIENTS'))
      .map((row) => row['pinned'])
      .filter((pinned) => pinned !== null && pinned !== '');
  return {
    name,
    url,
    operator,
    connect: (options) => connectTo(url, options),
    connectAs: (user) => connectTo(ringferry.url(undefined, user)),
    pins,
    clean: async () => {
      await Promise.all(connections.splice(0).map((connection) => connection.end().catch(() => {})));
      await eventually(async () => assert.deepEqual(await pins(), []));
      await runMysql(
        url,
        'DELETE FROM people WHERE id >= 0',
        'DELETE FROM log WHERE id > 0',
        'DELETE FROM counted WHERE id > 0',
      );
    },
  };
}

/** The first value of the first row. */
export async function oneValue(connection: mysql.Connection, sql: string): Promise<unknown> {
  const [[row]] = await connection.query<RowDataPacket[][]>({ sql, rowsAsArray: true });
  return row?.[0];
}
