import type { ParameterValues } from '../../src/routing/plan.js';
import type { StatementRouter } from '../../src/routing/router.js';
import type { Keyspace } from '../../src/topology/keyspace.js';
import type { Snapshot } from '../../src/topology/snapshot.js';
import { column } from '../../test/routing/keyspace.js';
import { built } from '../harness/built.js';
import type { Comparison, Contender, Sample, Scenario } from '../harness/scenario.js';

/** Different statements that are routed in turn, so that no text is known as a whole. */
const TEXTS = 50_000;
const POINT = 'one row by a literal key';
const PARAMETER = 'one row by a parameter';

export const s4: Scenario = {
  name: 's4',
  title: 'S4: routing of a statement whose plan is known',
  about: `Template, plan from the cache, token of the key, owner on a ring of three shards with 64 vnodes each: in this process, without a network, ${TEXTS.toLocaleString('en-US')} statements in turn. It fails if the parser is called once.`,
  programs: [],
  async setUp(bench) {
    const bed = await makeBed();
    const seconds = Math.min(1, bench.options.seconds / 4);
    return { comparisons: [compare(bed, seconds)] };
  },
};

interface Bed {
  readonly router: StatementRouter;
  readonly snapshot: Snapshot;
}

async function makeBed(): Promise<Bed> {
  const parser = await built<typeof import('../../src/sql/postgres-parser.js')>('sql/postgres-parser.js');
  const routing = await built<typeof import('../../src/routing/postgres-router.js')>(
    'routing/postgres-router.js',
  );
  const topology = await built<typeof import('../../src/topology/ring.js')>('topology/ring.js');
  await parser.loadParser();
  const names = ['s1', 's2', 's3'];
  return {
    router: routing.createPostgresRouter(KEYSPACE, { maxPlans: 1000 }),
    snapshot: {
      database: KEYSPACE.database,
      epoch: 1,
      ring: topology.Ring.of(names, 64),
      shards: names.map((name) => ({ name, url: '', isServing: true })),
      home: 's1',
      moves: [],
    },
  };
}

const KEYSPACE: Keyspace = {
  database: 'postgres',
  home: 's1',
  searchPath: ['public'],
  hasByteOrder: true,
  builtinFunctions: new Set(),
  volatileFunctions: new Set(),
  missing: new Map(),
  objects: new Map(),
  tables: new Map([
    [
      'public.pgbench_accounts',
      {
        schema: 'public',
        name: 'pgbench_accounts',
        kind: 'table',
        placement: 'sharded',
        key: { column: 'aid', type: 'integer' },
        columns: [
          column('aid', 'integer'),
          column('bid', 'integer'),
          column('abalance', 'integer'),
          column('filler', 'text'),
        ],
        primaryKey: ['aid'],
        reads: [],
      },
    ],
  ]),
};

interface Case {
  readonly name: string;
  textOf(key: number): string;
  parametersOf?(key: number): ParameterValues;
}

const CASES: readonly Case[] = [
  { name: POINT, textOf: (key) => `SELECT abalance FROM pgbench_accounts WHERE aid = ${key};` },
  {
    name: PARAMETER,
    textOf: () => 'SELECT abalance FROM pgbench_accounts WHERE aid = $1',
    parametersOf: (key) => ({
      count: 1,
      typeOid: () => 23,
      format: () => 0,
      bytes: () => Buffer.from(String(key)),
    }),
  },
  {
    name: 'one changed row',
    textOf: (key) => `UPDATE pgbench_accounts SET abalance = abalance + ${key % 100} WHERE aid = ${key};`,
  },
  {
    name: 'one new row',
    textOf: (key) =>
      `INSERT INTO pgbench_accounts (aid, bid, abalance, filler) VALUES (${key}, 1, 0, 'some text')`,
  },
  {
    name: 'five keys of several shards',
    textOf: (key) =>
      `SELECT abalance FROM pgbench_accounts WHERE aid IN (${[0, 1, 2, 3, 4].map((n) => key + n).join(', ')})`,
  },
];

function compare(bed: Bed, seconds: number): Comparison {
  return {
    name: 'CPU of one statement',
    figure: { label: 'µs', decimals: 2 },
    contenders: CASES.map((each) => contender(bed, each, seconds)),
    bounds: [POINT, PARAMETER].map((name) => ({ goal: 'S4', contender: name, of: 'value', atMost: 2 })),
  };
}

function contender(bed: Bed, { name, textOf, parametersOf }: Case, seconds: number): Contender {
  const keys = Array.from({ length: TEXTS }, (_, nth) => 1 + ((nth * 7919) % 1_000_000));
  const statements = keys.map((key) => ({ sql: textOf(key), parameters: parametersOf?.(key) }));
  return { name, warmsUp: true, measure: async () => routeAll(bed, statements, seconds) };
}

function routeAll(
  { router, snapshot }: Bed,
  statements: readonly { readonly sql: string; readonly parameters: ParameterValues | undefined }[],
  seconds: number,
): Sample {
  router.plan(statements[0]!.sql);
  const [hits, misses] = [router.cacheHitsTotal, router.cacheMissesTotal];
  const before = process.cpuUsage();
  const end = performance.now() + seconds * 1000;
  let [count, routed] = [0, 0];
  while (performance.now() < end) {
    for (const { sql, parameters } of statements) {
      routed += router.route(router.plan(sql), parameters, snapshot).shards.length;
      count++;
    }
  }
  const used = process.cpuUsage(before);
  const parsed = router.cacheMissesTotal - misses;
  if (parsed > 0) throw new Error(`the parser was called ${parsed} times`);
  if (router.cacheHitsTotal - hits !== count || routed < count)
    throw new Error('not every statement was routed by a plan from the cache');
  return { value: (used.user + used.system) / count, also: { 'parser calls': parsed, statements: count } };
}
