/** Statements by lot over these tables: mostly what applications write, some that must be refused, some that are wrong. */
import type { Statement } from '../differential.js';
import { keyed } from './random-keys.js';
import { Lot } from './random-lot.js';
import { aggregate, distinct, group, join, select } from './random-reads.js';
import { docs, insert, numbered, remove, update, upsert } from './random-writes.js';

/** Each as often as it stands here. */
const MAKERS: readonly ((lot: Lot) => Statement)[] = [
  ...[select, select, select, aggregate, aggregate, group, group, join, distinct],
  ...[insert, insert, upsert, upsert, numbered, docs, keyed, keyed, update, update, remove],
  ...[memory, odd],
];

export class StatementMaker {
  readonly #lot: Lot;
  /** How the open transaction may end. */
  #ends: readonly string[] | undefined;

  constructor(seed: number) {
    this.#lot = new Lot(seed);
  }

  next(isPrepared: boolean): Statement {
    return this.#lot.statement(() => this.#any(), isPrepared);
  }

  #any(): Statement {
    const { random } = this.#lot;
    // Short ones: a cutover waits for those that are open.
    if (random.chance(this.#ends === undefined ? 3 : 40)) return this.#transaction();
    return random.pick(MAKERS)(this.#lot);
  }

  #transaction(): Statement {
    const { random } = this.#lot;
    if (this.#ends === undefined) {
      const [begin, ends] = random.pick(TRANSACTIONS);
      this.#ends = ends;
      return { sql: begin, isOrdered: true };
    }
    if (random.chance(40)) return { sql: random.pick(SAVEPOINTS), isOrdered: true };
    const sql = random.pick(this.#ends);
    this.#ends = undefined;
    return { sql, isOrdered: true };
  }
}

/** How they begin, and how such a one may end. */
const TRANSACTIONS: readonly (readonly [begin: string, ends: readonly string[]])[] = [
  ['BEGIN', ['COMMIT', 'COMMIT', 'ROLLBACK']],
  ['START TRANSACTION', ['COMMIT', 'ROLLBACK']],
  ['SET autocommit = 0', ['SET autocommit = 1']],
];
const SAVEPOINTS = [
  'SAVEPOINT one',
  'SAVEPOINT two',
  'ROLLBACK TO SAVEPOINT one',
  'ROLLBACK TO two',
  'RELEASE SAVEPOINT one',
];

/** What a session knows of its last statement. */
function memory(lot: Lot): Statement {
  const sql = lot.random.pick([
    'SELECT ROW_COUNT()',
    'SELECT FOUND_ROWS() + 0',
    'SELECT LAST_INSERT_ID()',
    'SELECT @@warning_count',
    'SHOW WARNINGS',
    'SHOW ERRORS',
    'SELECT LAST_INSERT_ID(), ROW_COUNT()',
    'SELECT LAST_INSERT_ID(7)',
    'SELECT @@in_transaction',
  ]);
  return { sql, isOrdered: true };
}

function odd(lot: Lot): Statement {
  const key = lot.key();
  const one = () => `k = ${lot.key()}`;
  const sql = lot.random.pick([
    () => `SELECT * FROM items WHERE k = ${key} FOR UPDATE`,
    () => `SELECT (SELECT count(*) FROM owners) FROM items WHERE k = ${key} LIMIT 1`,
    () => `WITH x AS (SELECT * FROM items WHERE k = ${key}) SELECT count(*) FROM x`,
    () => 'SELECT k FROM items UNION SELECT k FROM owners',
    () => 'SELECT k FROM items UNION ALL SELECT k FROM owners',
    () => `SELECT * FROM owners WHERE k IN (SELECT k FROM items WHERE k = ${key})`,
    () => 'SELECT count(*) FROM (SELECT DISTINCT label FROM items) s',
    () => 'SELECT row_number() OVER (ORDER BY k, n) FROM items',
    () => `SELECT o.k FROM owners o WHERE EXISTS (SELECT 1 FROM items i WHERE i.k = o.k) AND o.k = ${key}`,
    () => `SELECT k FROM items WHERE k = ${key} UNION ALL SELECT k FROM owners WHERE ${one()}`,
    () => 'SELECT 1 / 0 FROM items',
    () => "SELECT CAST('x' AS int) FROM owners",
    () => 'SELECT nothing FROM items',
    () => 'SELECT * FROM regions ORDER BY region',
    () => 'SELECT * FROM settings ORDER BY name',
    () => 'SELECT rand() < 2 FROM owners WHERE k = 1',
    () => 'SELECT label FROM items GROUP BY label WITH ROLLUP',
    () => 'TABLE owners',
    () => "INSERT IGNORE INTO regions VALUES ('x', 'X')",
    () => `REPLACE INTO regions VALUES ('x', ${lot.unlike()})`,
    () => "UPDATE regions SET title = concat(title, '.') WHERE region = 'n'",
    () => `INSERT INTO owners SELECT k + 1000, name, region, visits FROM owners WHERE k = ${key}`,
    () => `INSERT INTO items (k, n) SELECT ${key}, 77 FROM dual WHERE false`,
    () => `SELECT sum(n) FROM items GROUP BY k, ok HAVING k = ${key}`,
    () => 'SELECT k FROM owners WHERE k = (SELECT max(k) FROM owners)',
    () => `DELETE items FROM items JOIN owners ON items.k = owners.k WHERE owners.k = ${key} AND items.n = 5`,
    () => `UPDATE items i JOIN owners o ON o.k = i.k SET i.label = o.name WHERE o.k = ${key}`,
    () => 'UPDATE items i JOIN owners o ON o.k = i.k SET i.price = o.visits WHERE i.n = 4',
    () => 'SELECT k FROM owners ORDER BY name COLLATE utf8mb4_nopad_bin, k LIMIT 3',
    () => 'SELECT SQL_CALC_FOUND_ROWS k, n FROM items ORDER BY k, n LIMIT 3',
    () => `SELECT SQL_CALC_FOUND_ROWS k, n FROM items WHERE k = ${key} ORDER BY k, n LIMIT 1`,
    () => 'SELECT DISTINCTROW k FROM owners ORDER BY k',
    () => `UPDATE settings SET value = value + 1 WHERE name = 'a'`,
    () => `INSERT INTO settings VALUES ('a', 5) ON DUPLICATE KEY UPDATE value = value + VALUES(value)`,
    () => `INSERT INTO owners (k, name) VALUES (${key}, repeat('x', 70))`,
    () => `INSERT INTO items (k, n, kind) VALUES (${key}, 3, 'z')`,
    () => `INSERT IGNORE INTO items (k, n, price) VALUES (${key}, 4, 'many'), (${key}, 400, 'more')`,
    () => `INSERT INTO items (k, n) VALUES (${key}, NULL)`,
    () => `INSERT INTO items (k) VALUES (${key})`,
    () => `INSERT INTO items VALUES (${key}, 2)`,
    () =>
      `REPLACE INTO owners (k, name) VALUES (${key}, ${lot.unlike()}), (3, ${lot.unlike()}), (4, ${lot.unlike()})`,
    () => `SELECT k, label FROM items WHERE ${one()} GROUP BY k`,
    () => 'SELECT k, any_value(n) FROM items',
    () => "SELECT max(n) FROM items WHERE k IN (SELECT k FROM owners WHERE region = 'n')",
    () => 'SELECT @x := 5',
    () => "SELECT k, n FROM items WHERE match(label) against ('x')",
    () => 'DO sleep(0)',
    () => "SHOW TABLES LIKE 'o%'",
    () => 'DESCRIBE owners',
    () => 'SELECT version(), database(), user()',
    () => 'SELEC 1',
    () => 'SELECT k, n FROM items ORDER BY k, n LIMIT 2 ROWS EXAMINED 1000000',
    () => `SELECT JSON_OBJECT('k', k, 'n', n) AS j FROM items WHERE ${one()} ORDER BY n`,
    () => `(SELECT k FROM owners WHERE ${one()}) ORDER BY k LIMIT 1`,
    () => `VALUES (1, 2)`,
    () =>
      `SELECT CASE WHEN k > 20 THEN 'high' ELSE 'low' END AS c, count(*) FROM owners GROUP BY c ORDER BY c`,
    () => `SELECT k FROM items GROUP BY k HAVING sum(n) > 10 ORDER BY sum(n) DESC, k`,
  ])();
  return { sql, isOrdered: /ORDER BY/.test(sql) && !/OVER/.test(sql) };
}
