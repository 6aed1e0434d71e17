import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OperatingError } from '../../src/lib/errors.js';
import { limitsOf } from '../../src/routing/limit.js';
import type { ParameterValues } from '../../src/routing/plan.js';
import { createPostgresRouter } from '../../src/routing/postgres-router.js';
import { type SqlParser, sharedParser } from '../../src/sql/postgres-parser.js';
import { tokenOf } from '../../src/topology/token.js';
import { SHOP, snapshotOf } from './keyspace.js';

const router = createPostgresRouter(SHOP, { maxPlans: 1_000 });
const snapshot = snapshotOf();

type Parameter = { readonly text?: string; readonly binary?: Buffer; readonly oid?: number } | null;

function bound(...parameters: Parameter[]): ParameterValues {
  return {
    count: parameters.length,
    typeOid: (index) => parameters[index]?.oid ?? 0,
    format: (index) => (parameters[index]?.binary === undefined ? 0 : 1),
    bytes: (index) =>
      parameters[index]?.binary ??
      (parameters[index]?.text === undefined ? undefined : Buffer.from(parameters[index]!.text!)),
  };
}

function ownerOf(key: string): string {
  return snapshot.ring.owner(tokenOf(key));
}

function shardsOf(sql: string, ...parameters: Parameter[]): readonly string[] {
  return router.route(router.plan(sql), bound(...parameters), snapshot).shards;
}

function bytes(write: (buffer: Buffer) => void, size: number): Buffer {
  const buffer = Buffer.alloc(size);
  write(buffer);
  return buffer;
}

describe('a key is found', () => {
  const spellings: [string, Parameter[]][] = [
    ['SELECT * FROM customers WHERE id = 42', []],
    ["SELECT * FROM customers WHERE id = '42'", []],
    ["SELECT * FROM customers WHERE id = E'4\\x32'", []],
    ['SELECT * FROM customers WHERE id = 42.0', []],
    ['SELECT * FROM customers WHERE id = 42::bigint', []],
    ["SELECT * FROM customers WHERE id = CAST('42' AS int)", []],
    ['SELECT * FROM public.customers AS c (key) WHERE c.key = 42', []],
    ['SELECT * FROM customers WHERE (id, name) = (42, $1)', [{ text: 'x' }]],
    ['SELECT * FROM customers WHERE id = $1', [{ text: '42' }]],
    ['SELECT * FROM customers WHERE id = $1', [{ text: ' 42 ', oid: 20 }]],
    ['SELECT * FROM customers WHERE id = $1', [{ binary: bytes((b) => b.writeBigInt64BE(42n), 8), oid: 20 }]],
    ['SELECT * FROM customers WHERE id = $1', [{ binary: bytes((b) => b.writeInt32BE(42), 4), oid: 23 }]],
    ['SELECT * FROM customers WHERE id = $1', [{ binary: bytes((b) => b.writeInt16BE(42), 2), oid: 21 }]],
    ['SELECT * FROM customers WHERE id = $1', [{ binary: bytes((b) => b.writeBigInt64BE(42n), 8) }]],
    ['SELECT * FROM customers WHERE id = $1', [{ binary: bytes((b) => b.writeDoubleBE(42), 8), oid: 701 }]],
    [
      'SELECT * FROM customers WHERE id = $1',
      [{ binary: Buffer.from('0001000000000000002a', 'hex'), oid: 1700 }],
    ],
    ['SELECT * FROM customers WHERE id = $1::int', [{ text: '42' }]],
    ['SELECT * FROM customers WHERE id = ANY($1)', [{ text: '{42}' }]],
    ['SELECT * FROM customers WHERE id = ANY($1)', [{ text: '{"42"}', oid: 1016 }]],
    [
      'SELECT * FROM customers WHERE id = ANY($1)',
      [
        {
          binary: Buffer.from('000000010000000000000017000000010000000100000004' + '0000002a', 'hex'),
          oid: 1007,
        },
      ],
    ],
    ['SELECT * FROM customers WHERE id IN (42, 42)', []],
    ['UPDATE customers SET name = $2 WHERE id = $1', [{ text: '42' }, { text: 'n' }]],
    ['DELETE FROM customers c USING orders o WHERE o.customer_id = c.id AND o.customer_id = 42', []],
    ['INSERT INTO customers (name, id) VALUES ($2, $1)', [{ text: '42' }, { text: 'n' }]],
    [
      'SELECT * FROM customers c WHERE id = 42 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id LIMIT 1)',
      [],
    ],
    ['/* ringferry: key=42 */ SELECT my_function()', []],
  ];
  for (const [sql, parameters] of spellings)
    test(`${sql} ${JSON.stringify(parameters)}`, () =>
      assert.deepEqual(shardsOf(sql, ...parameters), [ownerOf('42')]));

  test('of other types, in text and binary', () => {
    assert.deepEqual(
      shardsOf('SELECT * FROM days WHERE day = $1', {
        binary: bytes((b) => b.writeInt32BE(8_826), 4),
        oid: 1082,
      }),
      [ownerOf('8826')],
    );
    assert.deepEqual(shardsOf("SELECT * FROM days WHERE day = DATE '2024-03-01'"), [ownerOf('8826')]);
    assert.deepEqual(shardsOf('SELECT * FROM docs WHERE slug = $1', { binary: Buffer.from('ü'), oid: 25 }), [
      ownerOf('ü'),
    ]);
    assert.deepEqual(
      shardsOf("SELECT * FROM docs WHERE slug = 'a' OR slug = 'b'"),
      [...new Set([ownerOf('a'), ownerOf('b')])].sort(),
    );
  });

  test('and NULL is equal to none, so one shard can say so', () => {
    assert.equal(shardsOf('SELECT * FROM customers WHERE id = $1', null).length, 1);
    assert.equal(shardsOf('SELECT * FROM customers WHERE id = ANY($1)', { text: '{}' }).length, 1);
  });
});

describe('a key that cannot be understood', () => {
  const doubtful: [string, Parameter[]][] = [
    ['UPDATE customers SET name = $2 WHERE id = $1', [{ text: 'abc' }, { text: 'n' }]],
    ['INSERT INTO customers (id) VALUES ($1)', [{ text: '0x10' }]],
    ['INSERT INTO customers (id) VALUES (5.5)', []],
    ['INSERT INTO docs (slug) VALUES (007)', []],
    ['INSERT INTO docs (slug) VALUES ($1)', [{ text: 'longer than ten' }]],
    ['INSERT INTO days (day) VALUES ($1)', [{ text: 'today' }]],
    ['SELECT * FROM docs WHERE slug = $1', [{ text: 'x ', oid: 1042 }]],
    [
      'SELECT * FROM customers WHERE id = $1',
      [{ binary: bytes((b) => b.writeDoubleBE(2 ** 60), 8), oid: 701 }],
    ],
  ];
  for (const [sql, parameters] of doubtful) {
    test(`is an error with a hint: ${sql} ${JSON.stringify(parameters)}`, () => {
      assert.throws(
        () => shardsOf(sql, ...parameters),
        (error: OperatingError) =>
          error.code === 'invalid-key' && error.hint !== undefined && error.sqlstate === '22023',
      );
    });
  }

  test('is an error for NULL in an INSERT', () => {
    assert.throws(
      () => shardsOf('INSERT INTO customers (id) VALUES ($1)', null),
      (error: OperatingError) => error.sqlstate === '23502',
    );
  });

  test('sends a read that can be merged to every shard', () => {
    assert.deepEqual(
      shardsOf('SELECT * FROM days WHERE day IN ($1, $2)', { text: 'today' }, { text: '2024-01-01' }),
      ['a', 'b', 'c'],
    );
  });
});

describe('values that must agree', () => {
  const sql = 'SELECT * FROM customers c, orders o WHERE c.id = $1 AND o.customer_id = $2';
  test('route when they do', () =>
    assert.deepEqual(shardsOf(sql, { text: '42' }, { text: '42.0' }), [ownerOf('42')]));
  test('are refused when they do not, whatever shards own them', () => {
    for (let other = 0; other < 20; other++) {
      assert.throws(
        () => shardsOf(sql, { text: '42' }, { text: String(other) }),
        (error: OperatingError) => error.sqlstate === '0A000' && error.hint !== undefined,
      );
    }
  });
  test('let an UPDATE set the key to what it is', () => {
    assert.deepEqual(shardsOf('UPDATE customers SET id = $2 WHERE id = $1', { text: '42' }, { text: '42' }), [
      ownerOf('42'),
    ]);
    assert.throws(() =>
      shardsOf('UPDATE customers SET id = $2 WHERE id = $1', { text: '42' }, { text: '43' }),
    );
  });
});

describe('plan cache', () => {
  function counting(): { parser: SqlParser; calls: () => number } {
    let calls = 0;
    const parse = (sql: string) => {
      calls++;
      return sharedParser.parse(sql);
    };
    return { parser: { parse }, calls: () => calls };
  }

  test('plans statements that differ in literals once, without the parser', () => {
    const { parser, calls } = counting();
    const fresh = createPostgresRouter(SHOP, { maxPlans: 100 }, parser);
    const first = fresh.plan('SELECT * FROM customers WHERE id = 1');
    const before = calls();
    for (let id = 2; id < 500; id++) {
      const planned = fresh.plan(`SELECT *  FROM customers WHERE id = ${id} -- ${id}`);
      assert.equal(planned.plan, first.plan);
      assert.deepEqual(fresh.route(planned, undefined, snapshot).shards, [ownerOf(String(id))]);
      assert.ok(
        fresh
          .sqlFor(planned, fresh.route(planned, undefined, snapshot), ownerOf(String(id)), snapshot)
          .includes(`= ${id} `),
      );
    }
    assert.equal(calls(), before);
    assert.ok(fresh.cacheHitsTotal >= 498 && fresh.plansCached === 1);
  });

  test('is not dropped by a change of the ring', () => {
    const { parser, calls } = counting();
    const fresh = createPostgresRouter(SHOP, { maxPlans: 100 }, parser);
    const planned = fresh.plan('SELECT count(*) FROM customers WHERE age > 3');
    for (const shard of ['a', 'b'])
      fresh.sqlFor(planned, fresh.route(planned, undefined, snapshot), shard, snapshot);
    const before = calls();
    const next = snapshotOf(['a', 'b', 'c', 'd']);
    const route = fresh.route(fresh.plan('SELECT count(*) FROM customers WHERE age > 4'), undefined, next);
    assert.equal(route.shards.length, 4);
    fresh.sqlFor(planned, route, 'd', next);
    assert.equal(calls(), before);
  });

  test('keeps apart plans that depend on a literal’s value', () => {
    const one = router.plan('SELECT city, age FROM customers ORDER BY 2').plan;
    const two = router.plan('SELECT age, city FROM customers ORDER BY 1').plan;
    assert.deepEqual([one.merge?.orderBy[0]?.column, two.merge?.orderBy[0]?.column], [1, 0]);
    assert.equal(
      router.plan('SELECT city, age FROM customers ORDER BY 1').plan.placement.type,
      'refused',
      'ordered by the city’s collation',
    );
    assert.equal(router.plan('SELECT coalesce(sum(age), 0) FROM customers').plan.placement.type, 'every');
    assert.equal(router.plan('SELECT coalesce(sum(age), 7) FROM customers').plan.placement.type, 'refused');
    assert.equal(
      router.plan('SELECT age + 1, count(*) FROM customers GROUP BY age + 1').plan.placement.type,
      'every',
    );
    assert.equal(
      router.plan('SELECT age + 1, count(*) FROM customers GROUP BY age + 2').plan.placement.type,
      'refused',
    );
  });

  test('knows the search path', () => {
    assert.equal(router.plan('SELECT * FROM customers', ['other']).plan.placement.type, 'home');
    assert.equal(router.plan('SELECT * FROM customers').plan.placement.type, 'every');
  });

  test('stays within its bound', () => {
    const fresh = createPostgresRouter(SHOP, { maxPlans: 10 });
    for (let index = 0; index < 100; index++)
      fresh.plan(
        `SELECT ${Array(index + 1)
          .fill('id')
          .join(', ')} FROM customers WHERE id = 1`,
      );
    assert.ok(fresh.plansCached <= 10);
  });
});

describe('texts for shards', () => {
  const moving = snapshotOf(
    ['a', 'b', 'c'],
    [{ migration: 'm', source: 'a', target: 'b', ranges: [{ low: 0n, high: 99n }], state: 'copying' }],
  );
  const textOf = (sql: string, shard: string, at = moving) => {
    const planned = router.plan(sql);
    return router.sqlFor(planned, router.route(planned, undefined, at), shard, at);
  };

  test('are the client’s own on one shard, migration or not', () => {
    for (const sql of [
      'SELECT * FROM customers WHERE id = 3 ORDER BY name LIMIT 1',
      'SELECT count(*) FROM customers WHERE id IN (3, 3)',
    ])
      assert.equal(textOf(sql, ownerOf('3')), sql);
  });

  test('put each statement’s own literals back', () => {
    const sql = (age: number, name: string) =>
      `SELECT id FROM customers WHERE age > ${age} AND name <> ${name} ORDER BY age - ${age}, id LIMIT 5 OFFSET 1`;
    assert.match(
      textOf(sql(-3, "'a'"), 'a', snapshot),
      /> \(-3\) AND name <> 'a'.*LIMIT CAST\(5 AS bigint\) \+ CAST\(1 AS bigint\)/,
    );
    assert.match(textOf(sql(-7, "E'\\'$1000000'"), 'a', snapshot), /> \(-7\) AND name <> E'\\'\$1000000'/);
    assert.match(textOf(sql(-8, "'b'\n'c'"), 'b'), /width_bucket[\s\S]*'b'\n'c'/);
  });

  test('leave rows out only where a migration keeps copies', () => {
    assert.doesNotMatch(textOf('SELECT * FROM customers', 'a'), /width_bucket/);
    assert.match(textOf('SELECT * FROM customers', 'b'), /width_bucket/);
    assert.match(textOf('/* ringferry: shard=b */ DELETE FROM customers', 'b'), /width_bucket/);
    assert.match(
      textOf('COPY customers TO STDOUT', 'b'),
      /COPY \(\s*SELECT \* FROM[\s\S]*width_bucket[\s\S]*TO STDOUT/,
    );
  });

  test('of an INSERT hold the shard’s own rows, whatever stands in them', () => {
    const sql =
      "INSERT INTO docs (slug, body) VALUES ('a)', '(;'), ($1, lower($2)) /* (x) */, ('c', $$ VALUES ( $$) ON CONFLICT (slug) DO UPDATE SET body = (SELECT 'v') RETURNING *";
    const planned = router.plan(sql);
    const route = router.route(planned, bound({ text: 'b' }, { text: 'y' }), snapshot);
    assert.ok(route.rows !== undefined && route.rows.size > 1);
    const all = [...route.rows.values()].flat().sort();
    assert.deepEqual(all, [0, 1, 2]);
    const texts = ["('a)', '(;')", '($1, lower($2))', "('c', $$ VALUES ( $$)"];
    for (const [shard, rows] of route.rows) {
      const text = router.sqlFor(planned, route, shard, snapshot);
      assert.equal(
        text,
        `INSERT INTO docs (slug, body) VALUES ${rows.map((row) => texts[row]).join(', ')} ON CONFLICT (slug) DO UPDATE SET body = (SELECT 'v') RETURNING *`,
      );
    }
  });
});

test('LIMIT and OFFSET are read from literals and parameters, and negative ones are refused as the server does', () => {
  const limits = (sql: string, ...parameters: Parameter[]) => {
    const planned = router.plan(sql);
    return limitsOf(planned.plan.merge!, planned, bound(...parameters));
  };
  assert.deepEqual(limits('SELECT id FROM customers LIMIT 5 OFFSET $1', { text: '2' }), {
    limit: 5n,
    offset: 2n,
  });
  assert.deepEqual(limits('SELECT id FROM customers LIMIT ALL'), { limit: undefined, offset: 0n });
  assert.deepEqual(limits('SELECT id FROM customers LIMIT $1 OFFSET $2', null, null), {
    limit: undefined,
    offset: 0n,
  });
  assert.throws(
    () => limits('SELECT id FROM customers LIMIT -1'),
    (error: OperatingError) => error.sqlstate === '2201W',
  );
});

test('what is touched is what a cutover must wait for', () => {
  const touch = (sql: string) => router.route(router.plan(sql), undefined, snapshot).touch;
  assert.deepEqual(touch('SELECT * FROM customers WHERE id = 42'), {
    tokens: [tokenOf('42')],
    sharded: false,
    reference: false,
  });
  assert.deepEqual(touch('SELECT * FROM customers'), { tokens: [], sharded: true, reference: false });
  assert.deepEqual(touch("UPDATE countries SET title = 'x'"), {
    tokens: [],
    sharded: false,
    reference: true,
  });
  assert.deepEqual(touch('SELECT * FROM countries'), { tokens: [], sharded: false, reference: false });
  assert.equal(touch("INSERT INTO docs VALUES ('a', ''), ('b', '')").tokens.length, 2);
});

test('TRUNCATE and DROP of sharded and home tables leave the home tables out on the other shards', () => {
  const sqlOn = (sql: string) => {
    const planned = router.plan(sql);
    const route = router.route(planned, undefined, snapshot);
    return Object.fromEntries(
      route.shards.map((shard) => [shard, router.sqlFor(planned, route, shard, snapshot)]),
    );
  };
  const others = snapshot.shards.map(({ name }) => name).filter((name) => name !== snapshot.home);
  for (const [sql, elsewhere] of [
    ['TRUNCATE settings, public.orders, customers CASCADE', 'TRUNCATE public.orders, customers CASCADE'],
    ['DROP TABLE IF EXISTS settings, orders, no_such_table', 'DROP TABLE IF EXISTS orders'],
  ] as const) {
    assert.deepEqual(sqlOn(sql), {
      [snapshot.home]: sql,
      ...Object.fromEntries(others.map((name) => [name, elsewhere])),
    });
  }
});
