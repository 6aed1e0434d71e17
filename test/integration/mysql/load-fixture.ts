import mysql, { type Connection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import type { After } from '../../cluster.js';
import { MARIADB_TESTS } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import { startRingferry } from '../harness.js';
import { fileOf, piecesOf } from './load-files.js';

const SCHEMA = [
  'CREATE TABLE texts (id varchar(40) COLLATE utf8mb4_nopad_bin, x varchar(200), y varchar(200)) CHARSET utf8mb4',
  'CREATE TABLE items (id int, n int, v varchar(40), PRIMARY KEY (id, n)) CHARSET utf8mb4',
  'CREATE TABLE numbered (id int, n int AUTO_INCREMENT, PRIMARY KEY (n))',
  'CREATE TABLE days (day date, raw varbinary(8), u uuid, amount decimal(10,2), v varchar(20))',
  'CREATE TABLE raws (raw varbinary(8), v varchar(20))',
  'CREATE TABLE countries (code varchar(20) PRIMARY KEY, name varchar(200)) CHARSET utf8mb4',
  'CREATE TABLE moments (code int PRIMARY KEY, at timestamp NOT NULL DEFAULT current_timestamp)',
  'CREATE TABLE twice (id int, double_id int AS (id * 2) STORED)',
  'CREATE TABLE big (id int, v varchar(200))',
  'CREATE VIEW seen AS SELECT * FROM items',
];
export async function rowsOf(
  connection: Connection,
  sql: string,
  values: string[] = [],
): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>({ sql, rowsAsArray: true }, values);
  return rows;
}

/** What the client is told of a file. */
export function load(
  connection: Connection,
  sql: string,
  file: Buffer | string,
  size = 1_000,
): Promise<{
  affectedRows?: number;
  info?: string;
  warningStatus?: number;
  errno?: number;
  message?: string;
}> {
  return connection.query({ sql, infileStreamFactory: () => fileOf(piecesOf(Buffer.from(file), size)) }).then(
    ([result]) => {
      const { affectedRows, info, warningStatus } = result as ResultSetHeader;
      return { affectedRows, info, warningStatus };
    },
    ({ errno, message }) => ({ errno, message }),
  );
}

/** Three shards and one server by itself with the same tables, Ringferry in front of the shards, and a connection to each. */
export async function startForLoads(atEnd: After) {
  const [a, b, c, alone] = await MARIADB_TESTS.start(atEnd, 4);
  const SHARDS = { a: a!, b: b!, c: c! };
  const servers = Object.values(SHARDS);
  const urls = servers.map((server) => server.url('shop'));
  const direct = alone!.url('shop');
  await Promise.all([...urls, direct].map((url) => runMysql(url, ...SCHEMA)));
  const ringferry = await startRingferry(atEnd, {
    engine: 'mysql',
    shards: SHARDS,
    tables: {
      texts: { key: 'id' },
      items: { key: 'id' },
      numbered: { key: 'id' },
      days: { key: 'day' },
      raws: { key: 'raw' },
      twice: { key: 'id' },
      big: { key: 'id' },
      countries: { reference: true },
      moments: { reference: true },
    },
    facts: { local_infile: true },
    pool: { mode: 'transaction', size: 6 },
  });

  const connect = async (url: string): Promise<Connection> => {
    const connection = await mysql.createConnection({ uri: url, dateStrings: true });
    atEnd(async () => connection.destroy());
    return connection;
  };
  const through = await connect(ringferry.url());
  const straight = await connect(direct);
  const shards = await Promise.all(urls.map(connect));
  const empty = (table: string) =>
    Promise.all([through.query(`DELETE FROM ${table}`), straight.query(`DELETE FROM ${table}`)]);
  return { servers, url: ringferry.url(), connect, through, straight, shards, empty };
}
