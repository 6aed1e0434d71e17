import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../test/cluster.js';
import { makeProxyProcess } from '../test/integration/harness.js';
import { runMysql, startMariadb } from '../test/mariadb.js';
import { residentBytes } from './harness/proc.js';

/**
 * Clients of both protocols that come, prepare statements of ever new texts, leave tables, settings and transactions behind, and go, politely or
 * not, for SOAK_MINUTES. Prints the proxy's memory: what is in use at the least moment of each window, so that garbage does not
 * count. Ends with 1 when the last window's is more than the second one's by a fifth and 8 MB, or a client saw what it should not.
 */
const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 5);
const WINDOWS = 10;
const CLIENTS = 6;
const SLACK = 1.2;
const SLACK_BYTES = 8 << 20;

interface Window {
  heap: number;
  external: number;
  resident: number;
  descriptors: number;
  connections: number;
}

const counts = { connections: 0, statements: 0 };
const unexpected: string[] = [];
const endings: (() => Promise<void>)[] = [];
const atEnd = lastFirst((end) => endings.push(end));
try {
  const postgres = await startProxy('postgres');
  const mariadb = await startProxy('mysql');
  const endAt = Date.now() + MINUTES * 60_000;
  const isOver = () => Date.now() >= endAt;
  const clients = Array.from({ length: CLIENTS }, () => [
    until(isOver, () => postgresClient(postgres.url('postgres', 'postgres'))),
    until(isOver, () => mysqlClient(mariadb.url('shop', 'root', 'mysql'))),
  ]).flat();
  const verdicts = await Promise.all([watch('Postgres', postgres), watch('MariaDB', mariadb)]);
  await Promise.all(clients);
  process.stdout.write(`${counts.connections} connections, ${counts.statements} statements\n`);
  for (const words of unexpected.slice(0, 10)) process.stdout.write(`  unexpected: ${words}\n`);
  process.exitCode = verdicts.every(Boolean) && unexpected.length === 0 ? 0 : 1;
} finally {
  for (const finish of endings.reverse()) await finish();
}

async function startProxy(engine: 'postgres' | 'mysql') {
  const [server] =
    engine === 'postgres'
      ? await startPostgres(atEnd, { count: 1 })
      : await startMariadb(atEnd, { count: 1 });
  const table = 'CREATE TABLE things (id int PRIMARY KEY, name varchar(100))';
  if (engine === 'postgres') await runSql(server!.url(), table);
  else await runMysql(server!.url(''), 'CREATE DATABASE shop', 'USE shop', table);
  const proxy = await makeProxyProcess(atEnd, { engine, shards: { a: server! }, pool: { size: 5 } });
  await proxy.start();
  return proxy;
}

async function until(isOver: () => boolean, act: () => Promise<void>): Promise<void> {
  while (!isOver()) {
    try {
      await act();
    } catch (error) {
      unexpected.push(String(error));
      if (unexpected.length > 100) throw error;
    }
    counts.connections++;
  }
}

/** A text that nobody has sent before. */
function newText(name: string): string {
  return `SELECT ${randomInt(1_000_000)} AS c${name}${counts.statements++}`;
}

async function postgresClient(url: string): Promise<void> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  for (let i = 0; i < 5; i++) {
    const name = `s${i}`;
    await client.query({ name, text: `${newText('p')}, $1::int AS v`, values: [i] });
  }
  await client.query("SET application_name = 'churn'");
  await client.query('SELECT name FROM things WHERE id = 1');
  await client.query('CREATE TEMP TABLE left_behind (a int)');
  await client.query('BEGIN');
  await client.query('INSERT INTO things VALUES ($1, $2)', [counts.statements++, 'left behind']);
  if (randomInt(3) > 0) await client.end();
  else socketOf(client).destroy();
}

async function mysqlClient(url: string): Promise<void> {
  const client = await mysql.createConnection(url);
  client.on('error', () => {});
  for (let i = 0; i < 5; i++) await client.execute(`${newText('m')}, ? AS v`, [i]);
  await client.query("SET @mine = 'churn'");
  await client.query('SELECT name FROM things WHERE id = 1');
  await client.query('CREATE TEMPORARY TABLE left_behind (a int)');
  await client.query('BEGIN');
  await client.query('INSERT INTO things VALUES (?, ?)', [counts.statements++, 'left behind']);
  if (randomInt(3) > 0) await client.end();
  else client.destroy();
}

function socketOf(client: pg.Client): { destroy(): void } {
  return (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream;
}

/** Returns whether its memory stayed what it was. */
async function watch(
  name: string,
  proxy: { readonly ports: { readonly http: number }; readonly processId: number },
): Promise<boolean> {
  const windows: Window[] = [];
  for (let index = 0; index < WINDOWS; index++) {
    const endAt = Date.now() + (MINUTES * 60_000) / WINDOWS;
    const window: Window = {
      heap: Number.POSITIVE_INFINITY,
      external: Number.POSITIVE_INFINITY,
      resident: Number.POSITIVE_INFINITY,
      descriptors: 0,
      connections: 0,
    };
    do {
      const metrics = await (await fetch(`http://127.0.0.1:${proxy.ports.http}/metrics`)).text();
      const figure = (metric: string) => Number(new RegExp(`^${metric} (\\S+)$`, 'm').exec(metrics)?.[1]);
      window.heap = Math.min(window.heap, figure('nodejs_heap_size_used_bytes'));
      window.external = Math.min(window.external, figure('nodejs_external_memory_bytes'));
      window.resident = Math.min(window.resident, residentBytes(proxy.processId));
      window.descriptors = figure('process_open_fds');
      await sleep(500);
    } while (Date.now() < endAt);
    window.connections = counts.connections;
    windows.push(window);
    process.stdout.write(
      `${name.padEnd(9)}${String(index + 1).padStart(3)}  heap ${mb(window.heap)}  external ${mb(window.external)}  resident ${mb(window.resident)}  ${String(window.descriptors).padStart(4)} descriptors  ${window.connections} connections so far\n`,
    );
  }
  const [, early] = windows;
  const last = windows.at(-1)!;
  const hasGrown = (figure: 'heap' | 'external') => !(last[figure] <= early![figure] * SLACK + SLACK_BYTES);
  for (const figure of ['heap', 'external'] as const)
    if (hasGrown(figure)) process.stdout.write(`${name}: ${figure} has GROWN\n`);
  return !hasGrown('heap') && !hasGrown('external');
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1).padStart(7)} MB`;
}
