import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditReport, audit } from '../../src/demo/audit.js';
import { Journal } from '../../src/demo/journal.js';
import { seedShop } from '../../src/demo/seed.js';
import { SHOP_SCHEMA, SHOP_TABLES } from '../../src/demo/shop.js';
import { Traffic } from '../../src/demo/traffic.js';
import { type After, type PostgresServer, runSql, startPostgres } from '../cluster.js';

export const SHOP = { tables: SHOP_TABLES, home: 'a' } as const;

/** Servers a, b, c with the shop's tables, and empty ones for those that join later. */
export async function startShopShards(
  after: After,
  later: readonly string[],
): Promise<Record<string, PostgresServer>> {
  const names = ['a', 'b', 'c', ...later];
  const servers = await startPostgres(after, { count: names.length });
  await Promise.all(servers.slice(0, 3).map((server) => runSql(server.url(), SHOP_SCHEMA)));
  return Object.fromEntries(names.map((name, index) => [name, servers[index]!]));
}

/** A shop that is open: filled, with traffic, and a journal that an audit can be held against. */
export class OpenShop {
  readonly journal: Journal;
  readonly traffic: Traffic;
  readonly #shards: Readonly<Record<string, PostgresServer>>;

  private constructor(journal: Journal, traffic: Traffic, shards: Readonly<Record<string, PostgresServer>>) {
    this.journal = journal;
    this.traffic = traffic;
    this.#shards = shards;
  }

  static async open(
    url: string,
    shards: Readonly<Record<string, PostgresServer>>,
    customers = 600,
  ): Promise<OpenShop> {
    const journal = new Journal();
    const { customerIds } = await seedShop(url, { customers, ordersPerCustomer: 2 }, journal);
    const traffic = new Traffic({ url, shoppers: 6, thinkMs: 8, customerIds, journal });
    traffic.start('all');
    return new OpenShop(journal, traffic, shards);
  }

  /** New traffic in the same shop, with the same journal. */
  static reopen(url: string, shop: OpenShop): OpenShop {
    const traffic = new Traffic({
      url,
      shoppers: 6,
      thinkMs: 8,
      customerIds: [...shop.journal.points.keys()],
      journal: shop.journal,
    });
    traffic.start('again');
    return new OpenShop(shop.journal, traffic, shop.#shards);
  }

  /** Compares the journal with the shards; servers that hold no tables yet are left out. Traffic must have stopped. */
  async audit(): Promise<AuditReport> {
    const withTables: { name: string; url: string }[] = [];
    for (const [name, server] of Object.entries(this.#shards)) {
      const [row] = await runSql(server.url(), "SELECT to_regclass('customers') IS NOT NULL AS there");
      if (row!['there'] === true) withTables.push({ name, url: server.url() });
    }
    return audit(this.journal, withTables);
  }

  async mustBeWhole(): Promise<AuditReport> {
    const report = await this.audit();
    assert.deepEqual(
      { lost: report.lost, doubled: report.doubled, resurrected: report.resurrected },
      { lost: [], doubled: [], resurrected: [] },
    );
    assert.ok(report.checked > 1000);
    return report;
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
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const row = (await this.run('SHOW MIGRATIONS')).find((migration) => migration['id'] === id);
      const phase = String(row?.['phase']);
      if (row !== undefined && phases.includes(phase)) return row;
      if (['failed', 'aborted', 'done'].includes(phase))
        assert.fail(`migration ${id} ended as ${phase}: ${row?.['failure']}`);
      if (Date.now() > deadline) assert.fail(`migration ${id} is still ${phase} after ${timeoutMs} ms`);
      await sleep(50);
    }
  }
}

/** Nothing of a migration may be left in any database. */
export async function mustHaveNoTraces(shards: Readonly<Record<string, PostgresServer>>): Promise<void> {
  for (const [name, server] of Object.entries(shards)) {
    const left = await runSql(
      server.url(),
      `SELECT 'slot ' || slot_name AS what FROM pg_replication_slots
       UNION ALL SELECT 'publication ' || pubname FROM pg_publication
       UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
       UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin
       UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
       UNION ALL SELECT 'table ' || schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'ringferry'
       UNION ALL SELECT 'replica identity of ' || relname FROM pg_class WHERE relkind = 'r' AND relreplident = 'f'`,
    );
    assert.deepEqual(
      left.map((row) => row['what']),
      [],
      `left on shard ${name}`,
    );
  }
}
