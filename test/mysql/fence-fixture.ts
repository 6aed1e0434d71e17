import { after as atEnd } from 'node:test';
import type { CopyTask, ShardAddress } from '../../src/migration/engine.js';
import { selectionTest } from '../../src/migration/selection.js';
import { EngineSessions } from '../../src/mysql/engine-sessions.js';
import { prepareFence, raiseFence } from '../../src/mysql/fence.js';
import { HALF, keyspaceOf, sql, startShards, tasksOf, texts } from './shard-fixture.js';

export const shards = await startShards(atEnd, 1);
export const sessions = new EngineSessions();

export interface Fenced {
  readonly source: ShardAddress;
  readonly tasks: CopyTask[];
  /** Keys 1…100 in two lots. */
  readonly moving: readonly number[];
  readonly staying: readonly number[];
}

/** A database with a fenced table; keys 1…100, of which some move. */
export async function fenced(name: string): Promise<Fenced> {
  const [source] = await shards.databases(name);
  await sql(
    source!.url,
    'CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, name text)',
    `INSERT INTO customers SELECT seq, 'n' FROM seq_1_to_100`,
  );
  const keyspace = await keyspaceOf(source!, { customers: 'id:integer' });
  const tasks = tasksOf(keyspace, HALF);
  const isMoving = selectionTest(tasks[0]!);
  const keys = Array.from({ length: 100 }, (_, index) => index + 1);
  await sessions.use(source!, (session) => prepareFence(session, name, tasks));
  return {
    source: source!,
    tasks,
    moving: keys.filter((key) => isMoving(String(key))),
    staying: keys.filter((key) => !isMoving(String(key))),
  };
}

export const raise = ({ source, tasks }: Fenced, name: string, deadlineMs = 5_000) =>
  raiseFence(sessions, source, name, tasks, deadlineMs);

export const refused = {
  errno: 1644,
  sqlState: '40001',
  message: /^rows of customers are moving to another shard/,
};

export async function aTrigger(source: ShardAddress): Promise<string> {
  return (
    await texts(
      source.url,
      'SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()',
    )
  )[0]!;
}
