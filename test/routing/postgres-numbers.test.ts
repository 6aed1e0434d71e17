import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createPostgresRouter } from '../../src/routing/postgres-router.js';
import { SHOP } from './keyspace.js';

const router = createPostgresRouter(SHOP, { maxPlans: 1_000 });

/** What INSERTs become that leave `tickets.id` to the database, when the next numbers are 101 and 102. */
const NUMBERED: readonly [sql: string, numbered: string][] = [
  [
    'INSERT INTO tickets (customer_id) VALUES (5)',
    'INSERT INTO tickets (customer_id, "id") OVERRIDING SYSTEM VALUE VALUES (5, 101)',
  ],
  [
    'INSERT INTO tickets (customer_id) VALUES ($1), ($2) RETURNING id',
    'INSERT INTO tickets (customer_id, "id") OVERRIDING SYSTEM VALUE VALUES ($1, 101), ($2, 102) RETURNING id',
  ],
  ['INSERT INTO tickets VALUES (DEFAULT, 5)', 'INSERT INTO tickets OVERRIDING SYSTEM VALUE VALUES (101, 5)'],
  [
    'INSERT INTO tickets (customer_id, id) VALUES (5, /* no, */ default -- (\n)',
    'INSERT INTO tickets (customer_id, id) OVERRIDING SYSTEM VALUE VALUES (5, /* no, */ 101 -- (\n)',
  ],
  // It is for the server to say whether the second row may have its number.
  ['INSERT INTO tickets VALUES (DEFAULT, 5), (7, 6)', 'INSERT INTO tickets VALUES (101, 5), (7, 6)'],
  [
    'INSERT INTO tickets (id, customer_id) OVERRIDING SYSTEM VALUE VALUES (DEFAULT, 5), (DEFAULT, 6)',
    'INSERT INTO tickets (id, customer_id) OVERRIDING SYSTEM VALUE VALUES (101, 5), (102, 6)',
  ],
  [
    "WITH x (v) AS (VALUES ('values (')) INSERT INTO tickets AS \"values\" (customer_id) VALUES ('5') ON CONFLICT (id) DO NOTHING",
    'WITH x (v) AS (VALUES (\'values (\')) INSERT INTO tickets AS "values" (customer_id, "id") OVERRIDING SYSTEM VALUE VALUES (\'5\', 101) ON CONFLICT (id) DO NOTHING',
  ],
];

describe('numbers for what an INSERT leaves to a sequence', () => {
  for (const [sql, numbered] of NUMBERED)
    test(sql, () => {
      const planned = router.plan(sql);
      const { numbers } = planned.plan;
      assert.equal(numbers?.table, 'public.tickets');
      assert.equal(numbers.column, 'id');
      assert.equal(planned.plan.placement.type, 'refused', 'it must not run without numbers');
      const text = router.withNumbers(planned, [101n, 102n].slice(0, numbers.rows));
      assert.equal(text, numbered);
      const again = router.plan(text).plan;
      assert.equal(again.numbers, undefined);
      assert.equal(again.placement.type, 'rows');
    });

  test('as many numbers as rows, neither more nor fewer', () => {
    const planned = router.plan('INSERT INTO tickets (customer_id) VALUES (5), (6)');
    assert.equal(planned.plan.numbers?.rows, 2);
    for (const numbers of [[1n], [1n, 2n, 3n], []])
      assert.throws(() => router.withNumbers(planned, numbers), /cannot be numbered/);
  });
});
