import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from './audit.js';
import type { DemoEngine, DemoServer } from './engine.js';
import { freePort, isFree } from './free-port.js';
import { addShard, finish, type Growth } from './growth.js';
import { Journal } from './journal.js';
import { Narrator } from './narrator.js';
import { ProxyProcess } from './proxy-process.js';
import { type Screen, thousands } from './screen.js';
import { seedShop } from './seed.js';
import { SHOP_TABLES } from './shop.js';
import { isGood, printSummary } from './summary.js';
import { Traffic } from './traffic.js';

export interface DemoOptions {
  readonly engine: DemoEngine;
  readonly workers: number | 'auto';
  /** Ends by itself after the summary. */
  readonly exit: boolean;
  readonly screen: Screen;
  /** Resolves when the user wants it to end. */
  readonly interrupted: Promise<void>;
}

const SIZE = { customers: 20_000, ordersPerCustomer: 3 };
const SHOPPERS = 12;
const THINK_MS = 6;
const CALM_MS = 4_000;

/**
 * Three real shards, a shop with live traffic through Ringferry, and a fourth shard added under it; then the
 * measured summary. Returns the exit status: 0 only when nothing failed, was lost or was counted wrong.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const endings: (() => Promise<unknown>)[] = [];
  const interrupted = options.interrupted.then(() => undefined);
  try {
    const story = tell(options, (ending) => endings.push(ending));
    const status = await Promise.race([story, interrupted]);
    // What the story still says while everything is being stopped under it is of no interest.
    story.catch(() => {});
    if (status === undefined) return INTERRUPTED;
    if (!options.exit) await interrupted;
    return status;
  } finally {
    if (!options.exit) options.screen.line('  stopping everything …');
    for (const ending of endings.reverse()) await ending();
  }
}

/** As a shell says it of a program that Ctrl-C has ended. */
const INTERRUPTED = 130;

async function tell(options: DemoOptions, atEnd: (ending: () => Promise<unknown>) => void): Promise<number> {
  const { screen, engine } = options;
  const narrator = new Narrator(screen, engine);
  narrator.title();

  const servers = await narrator.step(`${engine.title} servers`, async () => {
    const servers = await startShards(engine, atEnd);
    const version = await engine.version(servers[0]!);
    const places = servers.map((server, index) => `${NAMES[index]} :${server.port}`);
    return [servers, `${version}: ${places.slice(0, 3).join(', ')}, and ${places[3]} still empty`];
  });
  const shards = servers.map((server, index) => ({ name: NAMES[index]!, url: server.url('shop') }));

  const proxy = await narrator.step('Ringferry in front', async () => {
    const proxy = await startProxy(options, shards.slice(0, 3), atEnd);
    return [proxy, proxy.url('shop', 'app', engine.protocol)];
  });

  const journal = new Journal();
  const customerIds = await narrator.step('a shop, filled through it', async () => {
    const begin = performance.now();
    const url = proxy.url('shop', 'app', engine.protocol);
    const { customerIds, rows } = await seedShop(engine, url, SIZE, journal);
    return [
      customerIds,
      `${thousands(rows)} rows in 4 tables, ${thousands((rows / (performance.now() - begin)) * 1000)} rows/s`,
    ];
  });

  const traffic = new Traffic({
    engine,
    url: proxy.url('shop', 'app', engine.protocol),
    shoppers: SHOPPERS,
    thinkMs: THINK_MS,
    customerIds,
    journal,
  });
  let growth: Growth;
  try {
    await narrator.step('live traffic', async () => {
      traffic.start('before');
      await sleep(CALM_MS);
      return [
        undefined,
        `${SHOPPERS} shoppers and one who counts all customers without pause; ${thousands(traffic.statements / (CALM_MS / 1000))} statements/s`,
      ];
    });
    const { name, url } = shards[3]!;
    narrator.migrationBegins(name, url);
    traffic.enter('during');
    growth = await addShard(proxy, name, url, (state) => narrator.progress(state, traffic));
    growth = await finish(proxy, growth.id, (state) => narrator.progress(state, traffic));
    narrator.progress(growth, traffic);
    screen.line();
    traffic.enter('after');
    await sleep(CALM_MS);
  } finally {
    await traffic.stop();
  }

  const report = await narrator.step('audit, past the proxy', async () => {
    const report = await audit(engine, journal, shards);
    return [report, `${thousands(report.checked)} customers and orders looked up in the shards themselves`];
  });
  const outcome = { traffic, journal, report, growth };
  printSummary(screen, outcome);
  if (!options.exit) narrator.invitation(proxy);
  return isGood(outcome) ? 0 : 1;
}

const NAMES = ['a', 'b', 'c', 'd'] as const;

async function startShards(
  engine: DemoEngine,
  atEnd: (ending: () => Promise<unknown>) => void,
): Promise<DemoServer[]> {
  const servers = await engine.start(NAMES.length, atEnd);
  atEnd(() => Promise.all(servers.map((server) => server.stop())));
  await Promise.all(
    servers.map(async (server, index) => {
      await engine.makeDatabase(server);
      // The fourth stays empty: its tables come with the migration.
      if (index < 3) await engine.makeTables(server);
    }),
  );
  return servers;
}

async function startProxy(
  { engine, workers }: Pick<DemoOptions, 'engine' | 'workers'>,
  shards: readonly { name: string; url: string }[],
  atEnd: (ending: () => Promise<unknown>) => void,
): Promise<ProxyProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-demo-'));
  atEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const config = {
    users: [{ name: 'app', auth: 'trust' }],
    databases: {
      shop: {
        engine: engine.protocol,
        pool: { mode: 'transaction', size: 20 },
        shards: Object.fromEntries(shards.map((shard) => [shard.name, { url: shard.url }])),
        home: 'a',
        ring: { vnodes: 64 },
        tables: SHOP_TABLES,
      },
    },
    log: { level: 'warn' },
    workers,
  };
  const usual = await portNear(engine.usualPort);
  const ports = {
    ...(engine.protocol === 'postgres' ? { postgres: usual } : { postgres: await freePort(), mysql: usual }),
    admin: await portNear(6433),
    http: await portNear(9432),
  };
  const proxy = new ProxyProcess({ folder, ports, config });
  atEnd(() => proxy.end());
  await proxy.start();
  return proxy;
}

/** The usual port when nobody has it, so that what the documentation says can be typed. */
async function portNear(usual: number): Promise<number> {
  return (await isFree(usual)) ? usual : freePort();
}
