import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type AuditReport, audit } from '../../src/demo/audit.js';
import { Journal } from '../../src/demo/journal.js';
import { seedShop } from '../../src/demo/seed.js';
import { SHOP_TABLES } from '../../src/demo/shop.js';
import { Traffic } from '../../src/demo/traffic.js';
import { type After, runSql } from '../cluster.js';
import { POSTGRES_TESTS, type TestEngine, type TestServer } from '../engines.js';
import { eventually } from './eventually.js';

type Shards = Readonly<Record<string, TestServer>>;

/** Fewer rows than that and an audit has seen next to nothing. */
const LEAST_CHECKED = 1000;

/** As fast as leaves the migration most of a core: hundreds of statements a second, a count in each hold. */
const PACE = { shoppers: 6, thinkMs: 8, countPauseMs: 8 } as const;

export const SHOP = { tables: SHOP_TABLES, home: 'a' } as const;

/** Servers a, b, c with the shop's tables, and empty ones for those that join later. */
export async function startShopShards(
  after: After,
  later: readonly string[],
  engine = POSTGRES_TESTS,
): Promise<Record<string, TestServer>> {
  const names = ['a', 'b', 'c', ...later];
  const servers = await engine.start(after, names.length);
  await Promise.all(
    servers
      .slice(0, 3)
      .map((server) => engine.run(server.url(engine.database), ...statementsOf(engine.demo.schema))),
  );
  return Object.fromEntries(names.map((name, index) => [name, servers[index]!]));
}

/** The schema's statements, which have no semicolon inside. */
export function statementsOf(schema: string): string[] {
  return schema.split(';').filter((statement) => statement.trim() !== '');
}

/** A shop that is open: filled, with traffic, and a journal that an audit can be held against. */
export class OpenShop {
  readonly journal: Journal;
  readonly traffic: Traffic;
  readonly #shards: Shards;
  readonly #engine: TestEngine;

  private constructor(engine: TestEngine, journal: Journal, traffic: Traffic, shards: Shards) {
    this.#engine = engine;
    this.journal = journal;
    this.traffic = traffic;
    this.#shards = shards;
  }

  static async open(
    url: string,
    shards: Shards,
    customers = 600,
    engine = POSTGRES_TESTS,
  ): Promise<OpenShop> {
    const journal = new Journal();
    const { customerIds } = await seedShop(engine.demo, url, { customers, ordersPerCustomer: 2 }, journal);
    const traffic = new Traffic({ engine: engine.demo, url, ...PACE, customerIds, journal });
    traffic.start('all');
    return new OpenShop(engine, journal, traffic, shards);
  }

  /** New traffic in the same shop, with the same journal. */
  static reopen(url: string, shop: OpenShop): OpenShop {
    const traffic = new Traffic({
      engine: shop.#engine.demo,
      url,
      ...PACE,
      customerIds: [...shop.journal.points.keys()],
      journal: shop.journal,
    });
    traffic.start('again');
    return new OpenShop(shop.#engine, shop.journal, traffic, shop.#shards);
  }

  /** Compares the journal with the shards; servers that hold no tables yet are left out. Traffic must have stopped. */
  async audit(): Promise<AuditReport> {
    const withTables: { name: string; url: string }[] = [];
    for (const [name, server] of Object.entries(this.#shards)) {
      const url = server.url(this.#engine.database);
      if (await this.#engine.hasTable(url, 'customers')) withTables.push({ name, url });
    }
    return audit(this.#engine.demo, this.journal, withTables);
  }

  async mustBeWhole(): Promise<AuditReport> {
    const report = await this.audit();
    assert.deepEqual(
      { lost: report.lost, doubled: report.doubled, resurrected: report.resurrected },
      { lost: [], doubled: [], resurrected: [] },
    );
    assert.ok(report.checked > LEAST_CHECKED, `${report.checked} rows were checked`);
    return report;
  }

  /** Resolves when traffic has written enough for an audit to tell something, and has looked at it again since now. */
  async untilAuditable(): Promise<void> {
    const { journal, traffic } = this;
    const until = traffic.counts + 5;
    await eventually(async () => {
      const written = journal.points.size + journal.orders.size + journal.cancelled.size;
      assert.ok(
        written > LEAST_CHECKED && traffic.counts >= until,
        `${written} rows, ${traffic.counts} counts, after ${traffic.errors.at(-1)}`,
      );
    }, 30_000);
  }
}

/** The control port, as an operator uses it. */
export class Operator {
  readonly #url: string;

  constructor(adminPort: number) {
    this.#url = `postgres://postgres@127.0.0.1:${adminPort}/ringferry`;
  }

  async run(command: string): Promise<Record<string, unknown>[]> {
    return runSql(this.#url, command);
  }

  /** Starts a migration and returns its id. */
  async start(command: string): Promise<string> {
    const [row] = await this.run(command);
    return String(row!['id']);
  }

  async lastMigration(): Promise<Record<string, unknown>> {
    return (await this.run('SHOW MIGRATIONS')).at(-1) ?? {};
  }

  /** Waits until the migration is in one of these phases; fails when it ended otherwise. */
  async until(id: string, phases: readonly string[], timeoutMs = 60_000): Promise<Record<string, unknown>> {
    const client = new pg.Client({ connectionString: this.#url });
    // What is lost while nothing is asked fails the next question.
    client.on('error', () => {});
    await client.connect();
    try {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const { rows } = await client.query<Record<string, unknown>>('SHOW MIGRATIONS');
        const row = rows.find((migration) => migration['id'] === id);
        const phase = String(row?.['phase']);
        if (row !== undefined && phases.includes(phase)) return row;
        if (['failed', 'aborted', 'done'].includes(phase))
          assert.fail(`migration ${id} ended as ${phase}: ${row?.['failure']}`);
        if (Date.now() > deadline) assert.fail(`migration ${id} is still ${phase} after ${timeoutMs} ms`);
        await sleep(50);
      }
    } finally {
      await client.end();
    }
  }
}

/** Nothing of a migration may be left in any database. */
export async function mustHaveNoTraces(shards: Shards, engine = POSTGRES_TESTS): Promise<void> {
  for (const [name, server] of Object.entries(shards))
    assert.deepEqual(await engine.traces(server.url(engine.database)), [], `left on shard ${name}`);
}
