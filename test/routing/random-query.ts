/** Numbers of one seed: the same queries again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 2_654_435_761;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

interface Item {
  readonly sql: string;
  readonly alias: string;
  /** Integer columns; the first is the shard key, if it has one. */
  readonly numbers: readonly string[];
  readonly texts: readonly string[];
}

const TABLES: Readonly<
  Record<string, { readonly numbers: readonly string[]; readonly texts: readonly string[] }>
> = {
  customers: { numbers: ['id', 'age'], texts: ['name', 'city'] },
  orders: { numbers: ['customer_id', 'id'], texts: ['status'] },
  items: { numbers: ['customer_id', 'order_id', 'line', 'quantity'], texts: ['product'] },
  countries: { numbers: [], texts: ['code', 'title'] },
};

/** What one engine's SQL has and another's has not. */
export interface SqlManner {
  readonly orders: readonly string[];
  readonly joins: readonly string[];
  /** `key = ANY(ARRAY[…])` */
  readonly hasArrays: boolean;
}

const COMMON_JOINS = ['JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', ','];

export const POSTGRES_MANNER: SqlManner = {
  orders: ['', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'],
  joins: [...COMMON_JOINS, 'FULL JOIN'],
  hasArrays: true,
};

export const MYSQL_MANNER: SqlManner = { orders: ['', ' DESC'], joins: COMMON_JOINS, hasArrays: false };

/** Makes SELECTs over the shop: some are within what can be answered from shards, many are not. */
export class QueryMaker {
  readonly #random: Random;
  readonly #manner: SqlManner;
  #aliases = 0;

  constructor(random: Random, manner: SqlManner) {
    this.#random = random;
    this.#manner = manner;
  }

  query(): string {
    const r = this.#random;
    if (r.chance(12)) return this.#withQuery();
    return this.#select(2, true);
  }

  #withQuery(): string {
    const inner = this.#select(1, false, true);
    return `WITH w AS (${inner}) SELECT w.* FROM w${this.#random.chance(40) ? ` WHERE w.x0 = ${this.#number()}` : ''}`;
  }

  #select(depth: number, isTop: boolean, isNamed = false, outer: readonly Item[] = []): string {
    const r = this.#random;
    const { sql: from, items } = this.#from(depth, outer);
    const where = r.chance(75) ? ` WHERE ${this.#condition(items, outer, depth)}` : '';
    const name = (index: number) => (isNamed ? ` AS x${index}` : '');
    const kind = r.below(10);
    if (kind < 2)
      return `SELECT ${this.#aggregates(items)
        .map((sql, index) => sql + name(index))
        .join(', ')} FROM ${from}${where}`;
    const columns = this.#columns(items);
    if (kind < 5) {
      const groups = columns.slice(0, 1 + r.below(2));
      const aggregates = this.#aggregates(items);
      const having = r.chance(30) ? ` HAVING ${this.#having(items, groups)}` : '';
      const order =
        isTop && r.chance(40)
          ? ` ORDER BY ${groups.map((_, index) => `${index + 1}${r.pick(this.#manner.orders)}`).join(', ')}`
          : '';
      const limit = order !== '' && r.chance(50) ? ` LIMIT ${r.below(6)} OFFSET ${r.below(3)}` : '';
      return `SELECT ${[...groups, ...aggregates].map((sql, index) => sql + name(index)).join(', ')} FROM ${from}${where} GROUP BY ${groups.join(', ')}${having}${order}${limit}`;
    }
    const distinct = r.chance(20) ? 'DISTINCT ' : '';
    const order =
      isTop && r.chance(40)
        ? ` ORDER BY ${columns.map((_, index) => `${index + 1}${r.pick(this.#manner.orders)}`).join(', ')}`
        : '';
    const limit =
      (order !== '' && r.chance(50)) || (depth === 1 && !isTop && r.chance(4))
        ? ` LIMIT ${r.below(8)}${r.chance(40) ? ` OFFSET ${r.below(4)}` : ''}`
        : '';
    return `SELECT ${distinct}${columns.map((sql, index) => sql + name(index)).join(', ')} FROM ${from}${where}${order}${limit}`;
  }

  #from(depth: number, outer: readonly Item[]): { sql: string; items: Item[] } {
    const r = this.#random;
    const first = this.#item(depth, outer);
    const items = [first];
    let sql = first.sql;
    const more = r.pick([0, 0, 1, 1, 2]);
    for (let count = 0; count < more; count++) {
      const next = this.#item(depth, outer);
      const join = r.pick(this.#manner.joins);
      if (join === ',') sql += `, ${next.sql}`;
      else sql += ` ${join} ${next.sql} ON ${this.#on(items, next)}`;
      items.push(next);
    }
    return { sql, items };
  }

  #item(depth: number, outer: readonly Item[]): Item {
    const r = this.#random;
    const alias = `t${this.#aliases++}`;
    if (depth > 0 && r.chance(12)) {
      const inner = this.#select(depth - 1, false, true, r.chance(30) ? outer : []);
      return { sql: `(${inner}) ${alias}`, alias, numbers: [`${alias}.x0`], texts: [] };
    }
    const table = r.pick(['customers', 'customers', 'orders', 'orders', 'items', 'countries']);
    const { numbers, texts } = TABLES[table]!;
    return {
      sql: `${table} ${alias}`,
      alias,
      numbers: numbers.map((column) => `${alias}.${column}`),
      texts: texts.map((column) => `${alias}.${column}`),
    };
  }

  #on(items: readonly Item[], next: Item): string {
    const r = this.#random;
    const other = r.pick(items);
    const [a, b] = [other.numbers[0], next.numbers[0]];
    const parts =
      a !== undefined && b !== undefined && r.chance(85) ? [`${a} = ${b}`] : [this.#simple([...items, next])];
    if (r.chance(25)) parts.push(this.#simple([...items, next]));
    return parts.join(' AND ');
  }

  #condition(items: readonly Item[], outer: readonly Item[], depth: number): string {
    const r = this.#random;
    const parts = [r.chance(35) ? this.#pin(items) : this.#simple(items)];
    while (r.chance(40)) parts.push(this.#part(items, outer, depth));
    if (outer.length > 0 && r.chance(70)) {
      const [mine, theirs] = [r.pick(items).numbers[0], r.pick(outer).numbers[0]];
      if (mine !== undefined && theirs !== undefined) parts.push(`${mine} = ${theirs}`);
    }
    return parts.join(r.chance(85) ? ' AND ' : ' OR ');
  }

  #part(items: readonly Item[], outer: readonly Item[], depth: number): string {
    const r = this.#random;
    if (r.chance(25)) return this.#pin(items);
    if (depth > 0 && r.chance(30)) {
      const inner = [...outer, ...items];
      if (r.chance(60))
        return `${r.pick(['', 'NOT '])}EXISTS (${this.#select(depth - 1, false, false, inner)})`;
      const column = r.pick(items).numbers[0];
      if (column !== undefined)
        return `${column} ${r.pick(['IN', 'IN', 'NOT IN'])} (SELECT y.x0 FROM (${this.#select(depth - 1, false, true, r.chance(50) ? inner : [])}) y)`;
    }
    if (r.chance(15)) return `(${this.#simple(items)} OR ${this.#pin(items)})`;
    if (r.chance(10)) return `NOT (${this.#pin(items)})`;
    return this.#simple(items);
  }

  /** A condition on a shard key. */
  #pin(items: readonly Item[]): string {
    const r = this.#random;
    const key = r.pick(items).numbers[0];
    if (key === undefined) return this.#simple(items);
    return r.pick([
      `${key} = ${this.#number()}`,
      `${key} = ${this.#number()}`,
      `${key} IN (${this.#number()}, ${this.#number()})`,
      `(${key} = ${this.#number()} OR ${key} = ${this.#number()})`,
      `${this.#number()} = ${key}`,
      this.#manner.hasArrays
        ? `${key} = ANY(ARRAY[${this.#number()}, ${this.#number()}])`
        : `${key} IN (${this.#number()})`,
    ]);
  }

  #simple(items: readonly Item[]): string {
    const r = this.#random;
    const numbers = items.flatMap((item) => item.numbers);
    const texts = items.flatMap((item) => item.texts);
    if (numbers.length > 0 && (texts.length === 0 || r.chance(60))) {
      const [a, b] = [r.pick(numbers), r.pick(numbers)];
      return r.pick([
        `${a} > ${r.below(40)}`,
        `${a} IS NOT NULL`,
        `${a} = ${b}`,
        `${a} <> ${b}`,
        `${a} % 3 = 1`,
        `${a} IS NULL`,
      ]);
    }
    const text = r.pick(texts);
    return r.pick([`${text} IS NOT NULL`, `${text} LIKE '%e%'`, `${text} <> 'Oslo'`, `${text} IS NULL`]);
  }

  #columns(items: readonly Item[]): string[] {
    const r = this.#random;
    const all = items.flatMap((item) => [...item.numbers, ...item.numbers, ...item.texts]);
    return Array.from({ length: 1 + r.below(3) }, () => {
      const column = r.pick(all);
      return r.chance(10) && items.some((item) => item.numbers.includes(column)) ? `${column} + 1` : column;
    });
  }

  #having(items: readonly Item[], groups: readonly string[]): string {
    const r = this.#random;
    const column = r.pick(items.flatMap((item) => item.numbers)) ?? '1';
    const part = () =>
      r.pick([
        `count(*) > ${r.below(3)}`,
        `sum(${column}) >= ${r.below(40)}.5`,
        `NOT (min(${column}) BETWEEN ${this.#number()} AND ${r.below(20)})`,
        `max(${column}) IN (${r.below(9)}, ${r.below(40)})`,
        `${r.below(4)} <> count(${column})`,
        `max(${column}) IS NOT NULL`,
        `${groups[0]} IS NOT NULL`,
      ]);
    return r.chance(50) ? part() : `${part()} ${r.pick(['AND', 'OR'])} ${part()}`;
  }

  #aggregates(items: readonly Item[]): string[] {
    const r = this.#random;
    const numbers = items.flatMap((item) => item.numbers);
    const texts = items.flatMap((item) => item.texts);
    return Array.from({ length: 1 + r.below(2) }, () => {
      if (texts.length > 0 && r.chance(15)) return `${r.pick(['min', 'max'])}(${r.pick(texts)})`;
      const column = numbers.length === 0 ? '1' : r.pick(numbers);
      return r.pick([
        'count(*)',
        `count(${column})`,
        `sum(${column})`,
        `min(${column})`,
        `max(${column})`,
        `avg(${column})`,
        `count(DISTINCT ${column})`,
      ]);
    });
  }

  #number(): number {
    return this.#random.below(14) - 2;
  }
}
