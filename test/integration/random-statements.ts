/** Statements by lot over the tables of differential.test.ts: mostly what applications write, some that must be refused. */
import type { Statement } from './differential.js';

export type Random = () => number;

/** Park and Miller's generator: the same statements for the same seed. */
export function randomFrom(seed: number): Random {
  let state = seed % 2_147_483_647 || 1;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

export const SCHEMA = `
CREATE TABLE items (k int NOT NULL, n int NOT NULL, label text, price numeric(10,2), seen timestamp, ok boolean, PRIMARY KEY (k, n));
CREATE TABLE owners (k int PRIMARY KEY, name text, region text);
CREATE TABLE regions (region text PRIMARY KEY, title text);`;

export const TABLES = { items: { key: 'k' }, owners: { key: 'k' }, regions: { reference: true } } as const;

export const KEYS = 40;

export class StatementMaker {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Prepared ones have no parameters. */
  next(isPrepared: boolean): Statement {
    return { ...this.#statement(), ...(isPrepared ? { values: [] } : {}) };
  }

  #statement(): Statement {
    const makers = [
      () => this.#select(),
      () => this.#select(),
      () => this.#select(),
      () => this.#aggregate(),
      () => this.#aggregate(),
      () => this.#group(),
      () => this.#group(),
      () => this.#join(),
      () => this.#distinct(),
      () => this.#insert(),
      () => this.#insert(),
      () => this.#upsert(),
      () => this.#update(),
      () => this.#update(),
      () => this.#delete(),
      () => this.#odd(),
    ];
    return this.#pick(makers)();
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #key(): number {
    return this.#int(KEYS);
  }

  #value(column: string): string {
    const values: Record<string, () => string> = {
      k: () => String(this.#key()),
      n: () => String(this.#int(12)),
      label: () => this.#pick(["'red'", "'blue'", "'ä ö'", "''", 'NULL', "'it''s'", "E'a\\nb'"]),
      price: () => this.#pick(['0', '1.10', '99.99', '-5.00', 'NULL', '1234567.89']),
      seen: () => this.#pick(["'2024-01-01'", "'2024-06-30 12:00:00.5'", 'NULL', "'infinity'"]),
      ok: () => this.#pick(['true', 'false', 'NULL']),
    };
    return values[column]!();
  }

  /** A condition that may or may not hold the key. */
  #where(prefix = ''): string {
    const k = `${prefix}k`;
    const conditions = [
      () => '',
      () => ` WHERE ${k} = ${this.#key()}`,
      () => ` WHERE ${k} = ${this.#key()}`,
      () => ` WHERE ${k} IN (${this.#key()}, ${this.#key()}, ${this.#key()})`,
      () => ` WHERE ${k} = ANY (ARRAY[${this.#key()}, ${this.#key()}])`,
      () => ` WHERE ${k} = ${this.#key()} OR ${k} = ${this.#key()}`,
      () => ` WHERE ${k} = ${this.#key()} AND ${k} = ${this.#key()}`,
      () => ` WHERE ${k} > ${this.#key()}`,
      () => ` WHERE ${k} BETWEEN 5 AND ${this.#key()}`,
      () => ` WHERE ${k} IS NULL`,
      () => ` WHERE ${k} = NULL`,
      () => ` WHERE NOT (${k} = ${this.#key()})`,
      () => ` WHERE ${k} = ${this.#key()}::bigint`,
      () => ` WHERE ${k} = '${this.#key()}'`,
      () => ` WHERE ${k} = ${this.#key()} AND true`,
      () => ` WHERE (${k} = ${this.#key()} AND 1 = 1) OR ${k} IN (1, 2)`,
      () => ` WHERE ${k} + 1 = ${this.#key()}`,
      () => ` WHERE ${k} = 3 + 4`,
      () => ` WHERE ${k} = -1`,
      () => ` WHERE ${k} NOT IN (${this.#key()})`,
    ];
    return this.#pick(conditions)();
  }

  #select(): Statement {
    const columns = this.#pick([
      '*',
      'k, n',
      'n, label, k',
      'k, n, price * 2 AS twice',
      'upper(label), k, n',
      'count(*) OVER (PARTITION BY k), k, n',
    ]);
    const where = this.#where();
    const and =
      this.#random() < 0.4
        ? `${where === '' ? ' WHERE' : ' AND'} ${this.#pick(['ok', 'price > 1', "label = 'red'", 'n < 6', 'seen IS NULL', "label LIKE '%e%'"])}`
        : '';
    const order = this.#pick([
      '',
      ' ORDER BY k, n',
      ' ORDER BY n DESC, k',
      ' ORDER BY price, k, n',
      ' ORDER BY label NULLS FIRST, k DESC, n',
      ' ORDER BY seen DESC NULLS LAST, n, k',
      ' ORDER BY 1, 2, k, n',
    ]);
    const limit =
      order !== '' && this.#random() < 0.5
        ? ` LIMIT ${this.#int(8)}${this.#random() < 0.5 ? ` OFFSET ${this.#int(5)}` : ''}`
        : '';
    return { sql: `SELECT ${columns} FROM items${where}${and}${order}${limit}`, isOrdered: order !== '' };
  }

  #aggregate(): Statement {
    const some = Array.from({ length: 1 + this.#int(4) }, () =>
      this.#pick([
        'count(*)',
        'count(label)',
        'sum(n)',
        'sum(price)',
        'avg(n)',
        'avg(price)',
        'min(label)',
        'max(label)',
        'min(seen)',
        'max(price)',
        'bool_and(ok)',
        'bool_or(ok)',
        'min(price)',
        'count(*) FILTER (WHERE ok)',
        'sum(n) + 1',
        'count(DISTINCT label)',
        'max(k) - min(k)',
        'coalesce(sum(price), 0)',
      ]),
    );
    return { sql: `SELECT ${some.join(', ')} FROM items${this.#where()}`, isOrdered: true };
  }

  #group(): Statement {
    const by = this.#pick(['label', 'ok', 'n', 'k', 'label, ok', 'n % 3']);
    const having = this.#pick(['', '', ' HAVING count(*) > 3', ' HAVING sum(n) > 10']);
    const order = this.#pick(['', ` ORDER BY ${by}`, ` ORDER BY count(*) DESC, ${by}`]);
    const limit = order !== '' && this.#random() < 0.3 ? ' LIMIT 4' : '';
    return {
      sql: `SELECT ${by}, count(*), sum(price), avg(n), max(seen) FROM items${this.#where()} GROUP BY ${by}${having}${order}${limit}`,
      isOrdered: order !== '',
    };
  }

  #join(): Statement {
    const tables = this.#pick([
      'items i JOIN owners o ON o.k = i.k',
      'items i JOIN owners o USING (k)',
      'owners o LEFT JOIN items i ON i.k = o.k',
      'items i JOIN owners o ON o.k = i.n',
      'owners o JOIN regions r ON r.region = o.region',
      'items i, owners o WHERE i.k = o.k',
      'owners o LEFT JOIN regions r USING (region)',
      'regions r LEFT JOIN owners o USING (region)',
    ]);
    const prefix = / i\b/.test(tables) ? 'i' : 'o';
    const key = `${prefix}.k = ${this.#key()}`;
    const where = this.#random() < 0.6 ? (tables.includes('WHERE') ? ` AND ${key}` : ` WHERE ${key}`) : '';
    return { sql: `SELECT count(*), min(${prefix}.k) FROM ${tables}${where}`, isOrdered: true };
  }

  #distinct(): Statement {
    const column = this.#pick(['label', 'ok', 'n', 'label, ok', 'k']);
    return {
      sql: `SELECT DISTINCT ${column} FROM items${this.#where()} ORDER BY ${column}`,
      isOrdered: true,
    };
  }

  #insert(): Statement {
    const columns = this.#pick([
      ['k', 'n', 'label', 'price'],
      ['n', 'k', 'ok'],
      ['k', 'n', 'seen', 'label'],
    ]);
    const rows = Array.from(
      { length: this.#pick([1, 1, 2, 5]) },
      () => `(${columns.map((column) => this.#value(column)).join(', ')})`,
    );
    const conflict = this.#pick(['', ' ON CONFLICT DO NOTHING', ' ON CONFLICT (k, n) DO NOTHING']);
    const returning = this.#pick(['', '', ' RETURNING *', ' RETURNING k, n']);
    return {
      sql: `INSERT INTO items (${columns.join(', ')}) VALUES ${rows.join(', ')}${conflict}${returning}`,
      isOrdered: false,
    };
  }

  #upsert(): Statement {
    return {
      sql: `INSERT INTO owners VALUES (${this.#key()}, ${this.#value('label')}, ${this.#pick(["'n'", "'s'", 'NULL'])}) ON CONFLICT (k) DO UPDATE SET name = excluded.name || '!', region = excluded.region RETURNING k, name`,
      isOrdered: false,
    };
  }

  #update(): Statement {
    // Of one row only: whether moving many rows over each other violates a unique key depends on their order on disk.
    if (this.#random() < 0.15)
      return {
        sql: `UPDATE items SET n = n + 1 WHERE k = ${this.#key()} AND n = ${this.#int(12)} RETURNING *`,
        isOrdered: false,
      };
    const set = this.#pick([
      () => `label = ${this.#value('label')}`,
      () => 'price = price + 1',
      () => 'ok = NOT ok',
      () => `seen = ${this.#value('seen')}, label = 'u'`,
      () => `k = ${this.#key()}`,
      () => 'k = k + 1',
    ])();
    const returning = this.#pick(['', '', ' RETURNING k, n, label']);
    return { sql: `UPDATE items SET ${set}${this.#where()}${returning}`, isOrdered: false };
  }

  #delete(): Statement {
    return {
      sql: `DELETE FROM items${this.#pick([` WHERE k = ${this.#key()}`, ` WHERE k = ${this.#key()} AND n < 4`, ' WHERE n = 11', ` WHERE k IN (${this.#key()}, ${this.#key()})`])}${this.#pick(['', ' RETURNING k, n'])}`,
      isOrdered: false,
    };
  }

  #odd(): Statement {
    const key = this.#key();
    const sql = this.#pick([
      `SELECT * FROM items WHERE k = ${key} FOR UPDATE`,
      `SELECT (SELECT count(*) FROM owners) FROM items WHERE k = ${key} LIMIT 1`,
      `WITH x AS (SELECT * FROM items WHERE k = ${key}) SELECT count(*) FROM x`,
      'SELECT k FROM items UNION SELECT k FROM owners',
      'SELECT k FROM items UNION ALL SELECT k FROM owners',
      `SELECT * FROM owners WHERE k IN (SELECT k FROM items WHERE k = ${key})`,
      'SELECT count(*) FROM (SELECT DISTINCT label FROM items) s',
      "SELECT string_agg(label, ',') FROM items",
      'SELECT row_number() OVER (ORDER BY k, n) FROM items',
      `SELECT o.k FROM owners o WHERE EXISTS (SELECT 1 FROM items i WHERE i.k = o.k) AND o.k = ${key}`,
      `SELECT k FROM items WHERE k = ${key} UNION ALL SELECT k FROM owners WHERE k = ${key}`,
      'SELECT 1/0 FROM items',
      "SELECT 'x'::int FROM owners",
      'SELECT nothing FROM items',
      'SELECT * FROM regions ORDER BY region',
      'SELECT random() < 2 FROM owners WHERE k = 1',
      'VALUES (1, 2)',
      'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM items',
      'SELECT label FROM items GROUP BY ROLLUP (label)',
      `TABLE owners`,
      "INSERT INTO regions VALUES ('x', 'X') ON CONFLICT DO NOTHING",
      "UPDATE regions SET title = title || '.' WHERE region = 'n'",
      `INSERT INTO owners SELECT k + 1000, name, region FROM owners WHERE k = ${key}`,
      `INSERT INTO items (k, n) SELECT ${key}, 77 WHERE false`,
      `SELECT sum(n) FROM items GROUP BY k, ok HAVING k = ${key}`,
      'SELECT array_agg(k ORDER BY k) FROM owners',
      `SELECT k FROM owners WHERE k = (SELECT max(k) FROM owners)`,
      `DELETE FROM items USING owners WHERE items.k = owners.k AND owners.k = ${key} AND items.n = 5`,
      `SELECT k FROM owners ORDER BY name COLLATE "C", k LIMIT 3`,
    ]);
    return { sql, isOrdered: /ORDER BY/.test(sql) && !/OVER|agg|WITHIN/.test(sql) };
  }
}
