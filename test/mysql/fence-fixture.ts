import { after as atEnd } from 'node:test';
import type mysql from 'mysql2/promise';
import type { CopyTask, Fence, ShardAddress } from '../../src/migration/engine.js';
import { selectionTest } from '../../src/migration/selection.js';
import { EngineSessions } from '../../src/mysql/engine-sessions.js';
import { prepareFence, raiseFence } from '../../src/mysql/fence.js';
import { AT_ONCE } from '../../src/mysql/short-locks.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import {
  HALF,
  keyspaceOf,
  numbersTo,
  type Shards,
  sql,
  startShards,
  tasksOf,
  texts,
} from './shard-fixture.js';

/** A server with databases that have a fenced table. */
export class FenceKit {
  readonly title: string;
  readonly shards: Shards;
  readonly sessions = new EngineSessions();

  constructor(title: string, shards: Shards) {
    this.title = title;
    this.shards = shards;
  }

  /** A database with a fenced table; keys 1…100, of which some move. */
  async fenced(name: string): Promise<Fenced> {
    const [source] = await this.shards.databases(name);
    await sql(
      source!.url,
      'CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, name text)',
      `INSERT INTO customers SELECT seq, 'n' FROM ${numbersTo(100)}`,
    );
    const keyspace = await keyspaceOf(source!, { customers: 'id:integer' });
    const tasks = tasksOf(keyspace, HALF);
    const isMoving = selectionTest(tasks[0]!);
    const keys = Array.from({ length: 100 }, (_, index) => index + 1);
    await this.sessions.use(source!, (session) => prepareFence(session, name, tasks, AT_ONCE));
    return {
      source: source!,
      tasks,
      moving: keys.filter((key) => isMoving(String(key))),
      staying: keys.filter((key) => !isMoving(String(key))),
    };
  }

  raise({ source, tasks }: Fenced, name: string, deadlineMs = 5_000): Promise<Fence> {
    return raiseFence(this.sessions, source, name, tasks, deadlineMs);
  }

  /** What a session has committed last, as a number that grows. */
  async committed(writer: mysql.Connection): Promise<number> {
    const gtid = this.title === 'MariaDB' ? '@@last_gtid' : '@@gtid_executed';
    const [rows] = await writer.query<mysql.RowDataPacket[]>(`SELECT ${gtid} AS gtid`);
    return numberOf(rows[0]!['gtid']);
  }
}

/** The last number of a GTID or a set: one server writes one domain here. */
export function numberOf(gtid: string): number {
  return Number(/[-:](\d+)$/.exec(gtid)![1]);
}

/** One for each kind of server. */
export const KITS = [new FenceKit('MariaDB', await startShards(atEnd, 1))];
if (noGenuineMysql === undefined)
  KITS.push(new FenceKit('MySQL', await startShards(atEnd, 1, { 'local-infile': '1' }, startGenuineMysql)));

export interface Fenced {
  readonly source: ShardAddress;
  readonly tasks: CopyTask[];
  /** Keys 1…100 in two lots. */
  readonly moving: readonly number[];
  readonly staying: readonly number[];
}

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
