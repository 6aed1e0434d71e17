import { runSql } from '../../test/cluster.js';
import type { Bench } from '../harness/bench.js';
import { peakBytes, resetPeak } from '../harness/proc.js';
import { PASSING, SHARDED, startProxies, startSharded } from '../harness/proxies.js';
import type { Comparison, Sample, Scenario } from '../harness/scenario.js';
import { contendersOf, type Target, type Targets, underLoad } from '../harness/target.js';
import { WireClient } from '../harness/wire-client.js';

const ROW_BYTES = 200;
const ROWS_PER_MESSAGE = 300;
const MIB = 2 ** 20;
const COLUMNS = 'id int, filler text';

export const s6: Scenario = {
  name: 's6',
  title: 'S6: large results and COPY',
  about:
    'One client that throws away what it reads. MiB/s of the protocol, and the most memory that the proxy held while it ran.',
  programs: ['pgbouncer'],
  async setUp(bench) {
    const mebibytes = bench.options.isQuick ? 32 : 256;
    const rows = Math.floor((mebibytes * MIB) / ROW_BYTES);
    const { simple } = await startProxies(bench);
    await makeTables(bench, rows);
    const sharded = await startSharded(bench, { bulk: { key: 'id' }, bulk_in: { key: 'id' } });
    await copyInto(sharded, 'bulk', rows);
    const targets = { ...simple.targets, [SHARDED]: sharded };
    const read = (sql: string) => (target: Target) => receive(target, sql, rows);
    return {
      comparisons: [
        compare('SELECT', 'SELECT * FROM bulk', targets, read('SELECT * FROM bulk')),
        compare('COPY out', 'COPY bulk TO STDOUT', targets, read('COPY bulk TO STDOUT')),
        compare('COPY in', 'COPY bulk_in FROM STDIN', targets, (target) => send(target, rows)),
      ],
      notes: [
        `${mebibytes} MiB in rows of ${ROW_BYTES} bytes. COPY into three shards reads every row to find its shard; out of them it joins three streams.`,
      ],
    };
  },
};

async function makeTables(bench: Bench, rows: number): Promise<void> {
  const server = await bench.servers.postgres();
  const shards = (await bench.servers.shards()).map((server) => server.url());
  for (const url of [server.url(), ...shards])
    await runSql(
      url,
      'DROP TABLE IF EXISTS bulk, bulk_in',
      `CREATE TABLE bulk (${COLUMNS})`,
      `CREATE UNLOGGED TABLE bulk_in (${COLUMNS})`,
    );
  await copyInto({ port: server.port, database: 'postgres' }, 'bulk', rows);
}

function compare(
  name: string,
  command: string,
  targets: Targets,
  measure: (target: Target) => Promise<Sample>,
): Comparison {
  return {
    name,
    figure: { label: 'MiB/s', decimals: 0, cpuPer: 'MiB' },
    command,
    mostRounds: 3,
    peer: 'PgBouncer',
    contenders: contendersOf(targets, measure),
    bounds: [{ goal: 'S6', contender: PASSING, of: 'ratio', atLeast: 0.9 }],
  };
}

async function receive(target: Target, sql: string, rows: number): Promise<Sample> {
  return measured(target, async (client) => {
    const received = await client.query(sql);
    if (received.rows < wholeRows(rows)) throw new Error(`${received.rows} rows came instead of ${rows}`);
    return received.bytes;
  });
}

async function send(target: Target, rows: number): Promise<Sample> {
  await onClient(target, (client) => client.query('TRUNCATE bulk_in'));
  const sample = await measured(
    target,
    async (client) => rowsOf().length * (await copy(client, 'bulk_in', rows)),
  );
  const url = `postgres://postgres@127.0.0.1:${target.port}/${target.database}`;
  const [count] = await runSql(url, 'SELECT count(*)::int AS n FROM bulk_in');
  if (Number(count?.['n']) !== wholeRows(rows)) throw new Error(`${count?.['n']} rows arrived of ${rows}`);
  return sample;
}

/** Times `work`, which tells how many bytes it moved. */
function measured(target: Target, work: (client: WireClient) => Promise<number>): Promise<Sample> {
  const { processId } = target;
  return onClient(target, (client) =>
    underLoad(target, async () => {
      if (processId !== undefined) resetPeak(processId);
      const began = performance.now();
      const bytes = await work(client);
      const mebibytes = bytes / MIB;
      const value = mebibytes / ((performance.now() - began) / 1000);
      const also = processId === undefined ? {} : { 'peak RSS, MiB': peakBytes(processId) / MIB };
      return { value, also, cpuUnits: mebibytes, statements: 1, transactions: 1, connections: 1 };
    }),
  );
}

async function onClient<Result>(
  target: Target,
  work: (client: WireClient) => Promise<Result>,
): Promise<Result> {
  const client = await WireClient.login(target.port, target.database);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

async function copyInto(target: Target, table: string, rows: number): Promise<void> {
  await onClient(target, (client) => copy(client, table, rows));
}

/** Returns how many messages it took. */
async function copy(client: WireClient, table: string, rows: number): Promise<number> {
  const messages = Math.floor(rows / ROWS_PER_MESSAGE);
  await client.copyIn(`COPY ${table} FROM STDIN`, rowsOf(), messages);
  return messages;
}

const wholeRows = (rows: number): number => Math.floor(rows / ROWS_PER_MESSAGE) * ROWS_PER_MESSAGE;

function rowsOf(): Buffer {
  return Buffer.from(
    Array.from({ length: ROWS_PER_MESSAGE }, (_, nth) => `${nth + 1000}\t`.padEnd(ROW_BYTES - 1, 'x'))
      .map((row) => `${row}\n`)
      .join(''),
  );
}
