import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { lastFirst } from '../cluster.js';
import type { TestEngine, TestServer } from '../engines.js';
import { startRingferry } from './harness.js';
import { Operator } from './shop.js';

/** A statement by lot, and what is certain of its answer. */
export interface Statement {
  readonly sql: string;
  /** Given: it is prepared, with these values. */
  readonly values?: readonly unknown[];
  /** The order of its rows is. */
  readonly isOrdered: boolean;
}

/** What one statement came to, as plain values. */
export interface Outcome {
  readonly rows?: readonly string[];
  readonly error?: string;
  /** Ringferry's own refusal: what it does not support. */
  readonly refusal?: string;
  /** Everything else that was told: tags, counts, columns, warnings. */
  readonly told?: unknown;
}

/** One session, at Ringferry or at the database that has all rows. */
export interface DifferentialClient {
  ask(statement: Statement): Promise<Outcome>;
  end(): Promise<void>;
}

/** One wing's random statements. */
export interface DifferentialWing {
  readonly engine: TestEngine;
  readonly schema: readonly string[];
  /** As in the configuration. */
  readonly tables: Readonly<Record<string, unknown>>;
  readonly rows: readonly string[];
  /** All rows of each table, in a certain order. */
  readonly contents: Readonly<Record<string, string>>;
  /** The keys of sharded tables: SELECT … AS k. */
  readonly keys: readonly string[];
  /** The same statements for the same seed. */
  statements(seed: number): { next(isPrepared: boolean): Statement };
  connect(url: string): Promise<DifferentialClient>;
  /** Sent to both when a refusal has left them in different states. */
  readonly level?: Statement;
  /** Sent to both at the end. */
  readonly last?: Statement;
}

/** As many statements as asked for, else as the wing says. */
const ASKED = process.env['RINGFERRY_TEST_STATEMENTS'];
const SEED = Number(process.env['RINGFERRY_TEST_SEED'] ?? 20_261_121);

export interface DifferentialExtent {
  readonly rounds?: number;
  /** Are rows moved? */
  readonly moves?: boolean;
}

/** Random statements over three shards against one database that has all rows: before, while and after rows move. */
export async function testDifferential(
  wing: DifferentialWing,
  { rounds = 400, moves = true }: DifferentialExtent = {},
): Promise<void> {
  const { engine } = wing;
  const statements = Number(ASKED ?? rounds);
  const atEnd = lastFirst(after);
  const servers = await engine.start(atEnd, moves ? 5 : 4);
  const [a, b, c, single] = servers as [TestServer, TestServer, TestServer, TestServer];
  const urlOf = (server: TestServer) => server.url(engine.database);
  for (const server of [a, b, c, single]) await engine.run(urlOf(server), ...wing.schema);
  const { tables } = wing;
  const ringferry = await startRingferry(atEnd, {
    engine: engine.demo.protocol,
    shards: { a, b, c },
    tables,
  });
  const both = [ringferry.url(), urlOf(single)] as const;
  const maker = wing.statements(SEED);

  /** Runs statements on both until `isOver`, and demands equal outcomes. */
  async function compareUntil(isOver: (round: number) => boolean): Promise<string> {
    const clients = await Promise.all(both.map((url) => wing.connect(url)));
    const [sharded, whole] = clients as [DifferentialClient, DifferentialClient];
    const refusals = new Map<string, number>();
    const different: string[] = [];
    let [answered, refused, rounds] = [0, 0, 0];
    let before = '';
    try {
      for (; !isOver(rounds); rounds++) {
        const statement = maker.next(rounds % 2 === 1);
        const got = await sharded.ask(statement);
        if (got.refusal !== undefined) {
          refused++;
          refusals.set(got.refusal, (refusals.get(got.refusal) ?? 0) + 1);
          if (wing.level !== undefined) for (const client of clients) await client.ask(wing.level);
          continue;
        }
        const expected = await whole.ask(statement);
        if (expected.error === undefined) answered++;
        if (JSON.stringify(got) !== JSON.stringify(expected))
          different.push(`${difference(statement, got, expected)}\n    after:   ${before}`);
        before = `${statement.sql}: ${JSON.stringify(got).slice(0, 200)}`;
      }
      if (wing.last !== undefined) for (const client of clients) await client.ask(wing.last);
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
    assert.ok(different.length === 0, `${different.length} differ:\n${different.slice(0, 60).join('\n')}`);
    const report = `${rounds} statements: ${answered} answered, ${refused} refused${counted(refusals)}`;
    assert.ok(answered > rounds * 0.6, report);
    for (const [table, sql] of Object.entries(wing.contents)) {
      const [one, other] = await Promise.all(both.map((url) => engine.run(url, sql)));
      assert.deepEqual(one, other, table);
    }
    return report;
  }

  describe(`${engine.name}: three shards against one database, seed ${SEED}`, () => {
    test(`${statements} statements by lot give the same answer or are refused`, {
      timeout: 3_600_000,
    }, async (t) => {
      for (const url of both) await engine.run(url, ...wing.rows);
      t.diagnostic(await compareUntil((round) => round >= statements));
    });

    const added = servers[4];
    const commands =
      added === undefined ? [] : [`ADD SHARD d '${urlOf(added)}' finish=now`, 'REMOVE SHARD d finish=now'];
    for (const command of commands) {
      test(`and so they do during ${command.split(' ').slice(0, 3).join(' ')}`, {
        timeout: 300_000,
      }, async (t) => {
        const operator = new Operator(ringferry.ports.admin);
        const id = await operator.start(command);
        let isDone = false;
        const done = operator.until(id, ['done'], 120_000).finally(() => {
          isDone = true;
        });
        t.diagnostic(await compareUntil((round) => isDone && round > 50));
        await done;
      });
    }

    test('every row is on the shard that owns its key, and reference rows are on all', async () => {
      const found = new Map<string, string>();
      for (const [name, server] of Object.entries({ a, b, c })) {
        for (const sql of wing.keys) {
          for (const { k } of await engine.run(urlOf(server), sql)) {
            const key = `${sql}: ${k}`;
            const owner = found.get(key);
            assert.ok(owner === undefined || owner === name, `${key} is on ${owner} and on ${name}`);
            found.set(key, name);
          }
        }
      }
      assert.equal(new Set(found.values()).size, 3);
      for (const [table, facts] of Object.entries(tables)) {
        if (!Object.hasOwn(facts as object, 'reference')) continue;
        const rows = await Promise.all(
          [a, b, c].map((server) => engine.run(urlOf(server), wing.contents[table]!)),
        );
        assert.deepEqual([rows[1], rows[2]], [rows[0], rows[0]], table);
      }
    });
  });
}

function difference(statement: Statement, got: Outcome, expected: Outcome): string {
  const values = statement.values === undefined ? '' : `\n    values:  ${JSON.stringify(statement.values)}`;
  const [one, other] = [JSON.stringify(got), JSON.stringify(expected)];
  const length = Math.max(one.length, other.length);
  const at = Array.from({ length }, (_, index) => index).find((index) => one[index] !== other[index]) ?? 0;
  const around = (text: string) => `${at < 300 ? '' : '…'}${text.slice(Math.max(0, at - 300), at + 300)}`;
  return `${statement.sql}${values}\n    sharded: ${around(one)}\n    single:  ${around(other)}`;
}

function counted(refusals: ReadonlyMap<string, number>): string {
  const lines = [...refusals].sort(([, one], [, other]) => other - one);
  return lines.map(([reason, count]) => `\n  ${count} × ${reason}`).join('');
}
