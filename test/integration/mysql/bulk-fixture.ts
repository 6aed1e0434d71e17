import assert from 'node:assert/strict';
import { CAPABILITY, COM, MARIADB_CAPABILITY } from '../../../src/mysql/capabilities.js';
import { encodeQuery } from '../../../src/mysql/commands.js';
import type { After } from '../../cluster.js';
import { MARIADB_TESTS } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
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

export const INSERT = 'INSERT INTO t (id, name) VALUES (?, ?)';

/** A client that executes in bulk. */
export const BULK_CLIENT = {
  capabilities: (CAPABILITIES & ~CAPABILITY.LONG_PASSWORD) >>> 0,
  mariadbCapabilities: MARIADB_CAPABILITY.STMT_BULK_OPERATIONS,
};

export const said = (...texts: string[]): Command[] => texts.map((text) => encodeQuery(text));
export const range = (count: number) => Array.from({ length: count }, (_, index) => index);

/** The same tables on one server and on three behind Ringferry, and what both answer. */
export async function startBoth(atEnd: After) {
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

  async function empty(): Promise<void> {
    for (const { url } of [direct, sharded])
      await runMysql(url, ...Object.keys(TABLES).map((table) => `DELETE FROM ${table}`));
  }

  /** What one server and three answer to the same commands; the tables are the same afterwards. */
  async function both(commands: readonly Command[]): Promise<[one: string[][], three: string[][]]> {
    const one = await conversation(direct.port, BULK_CLIENT, commands);
    const three = await conversation(sharded.port, BULK_CLIENT, commands);
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

  return { direct, sharded, servers, onEach, empty, both, same };
}

/** The rows of all tables. */
export async function contents(url: string): Promise<unknown> {
  const tables = Object.keys(TABLES).map((table) =>
    runMysql(url, `SELECT * FROM ${table} ORDER BY ${ORDER[table] ?? 'id'}`),
  );
  return Promise.all(tables);
}

/** Merged answers do not tell which of the shards used no index (0x20). */
function withoutIndexFlag(packets: string[] | undefined): string[] | undefined {
  const [first, ...rest] = packets ?? [];
  return first === undefined ? undefined : [first.replace('"\0\0\0', '\x02\0\0\0'), ...rest];
}
