import { Random } from '../../routing/random-query.js';
import type { Statement } from '../differential.js';
import { KEYS, literalOf, valueFor } from './random-tables.js';

/** What random statements are made of; of one statement after the other. */
export class Lot {
  readonly random: Random;
  /** Values of the statement that is being made. */
  #values: unknown[] = [];
  #texts = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** The statement that `make` makes, with its values as literals or, if it is prepared, most of them as parameters. */
  statement(make: () => Statement, isPrepared: boolean): Statement {
    this.#values = [];
    const { sql, isOrdered } = make();
    const values: unknown[] = [];
    const text = sql.replace(/«(\d+)»/g, (_, index) => {
      const value = this.#values[Number(index)];
      if (!isPrepared || this.random.chance(15)) return literalOf(value);
      values.push(value);
      return '?';
    });
    return { sql: text, isOrdered, ...(isPrepared ? { values } : {}) };
  }

  /** A place for a value, which becomes a literal or a parameter. */
  put(value: unknown): string {
    return `«${this.#values.push(value) - 1}»`;
  }

  value(column: string): string {
    if (column === 'remark') return this.unlike();
    return this.put(valueFor(column, this.random));
  }

  /** A text that was not there before: a row that is replaced by its equal is counted otherwise where there are triggers. */
  unlike(): string {
    return this.put(`text ${this.#texts++}`);
  }

  /** A key value in one of the ways to write it. */
  key(): string {
    const key = this.random.below(KEYS);
    return this.put(this.random.chance(10) ? String(key) : key);
  }

  keys(): string {
    return Array.from({ length: 1 + this.random.below(4) }, () => this.key()).join(', ');
  }

  number(below: number): string {
    return this.put(this.random.below(below));
  }

  /** A condition that may or may not hold the key. */
  where(prefix = ''): string {
    const k = `${prefix}k`;
    const conditions = [
      () => '',
      () => ` WHERE ${k} = ${this.key()}`,
      () => ` WHERE ${k} = ${this.key()}`,
      () => ` WHERE ${k} IN (${this.keys()})`,
      () => ` WHERE ${k} IN (${this.keys()})`,
      () => ` WHERE ${k} = ${this.key()} OR ${k} = ${this.key()}`,
      () => ` WHERE ${k} = ${this.key()} AND ${k} = ${this.key()}`,
      () => ` WHERE ${k} > ${this.key()}`,
      () => ` WHERE ${k} BETWEEN 5 AND ${this.key()}`,
      () => ` WHERE ${k} IS NULL`,
      () => ` WHERE ${k} = NULL`,
      () => ` WHERE ${k} <=> ${this.key()}`,
      () => ` WHERE NOT (${k} = ${this.key()})`,
      () => ` WHERE ${k} = ${this.key()} AND true`,
      () => ` WHERE (${k} = ${this.key()} AND 1 = 1) OR ${k} IN (1, '2', 3.0)`,
      () => ` WHERE ${k} + 1 = ${this.key()}`,
      () => ` WHERE ${k} = 3 + 4`,
      () => ` WHERE ${k} = -1`,
      () => ` WHERE ${k} = 7.5`,
      () => ` WHERE ${k} = '7abc'`,
      () => ` WHERE ${k} = true`,
      () => ` WHERE ${k} NOT IN (${this.keys()})`,
      () => ` WHERE (${k}, 1) = (${this.key()}, 1)`,
      () => ` WHERE ${k} = ${this.key()} XOR ${k} > 20`,
      () => ` WHERE ${k} = 5 && ${k} < ${this.key()}`,
    ];
    return this.random.pick(conditions)();
  }

  condition(): string {
    return this.random.pick([
      () => 'ok',
      () => `price > ${this.value('price')}`,
      () => `label = ${this.value('label')}`,
      () => `tag = ${this.value('tag')}`,
      () => `latin = ${this.value('latin')}`,
      () => `n < ${this.number(12)}`,
      () => 'seen IS NULL',
      () => `label LIKE ${this.put('%e%')}`,
      () => `raw = ${this.value('raw')}`,
      () => `big > ${this.value('big')}`,
      () => `kind = ${this.value('kind')}`,
      () => `find_in_set('p', marks)`,
      () => `born < ${this.value('born')}`,
      () => `wake >= ${this.value('wake')}`,
      () => "label REGEXP '^r'",
    ])();
  }

  and(where: string): string {
    if (this.random.chance(60)) return where;
    return `${where === '' ? ' WHERE' : `${where} AND`} ${this.condition()}`;
  }

  limit(least = 0): string {
    const count = this.put(least + this.random.below(8));
    return this.random.pick([
      () => ` LIMIT ${count}`,
      () => ` LIMIT ${count} OFFSET ${this.number(5)}`,
      () => ` LIMIT ${this.number(5)}, ${count}`,
    ])();
  }
}
