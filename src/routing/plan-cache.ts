import { LRUCache } from 'lru-cache';
import type { PlannedStatement } from './plan.js';

/** Longer templates are planned each time, such as those of statements that keep their literals (DDL). */
export const MAX_TEMPLATE = 65_536;
/** Texts longer than this are not remembered as they are; the template's cache serves them. */
const MAX_REMEMBERED_TEXT = 1_024;

/** Planned statements by their whole texts. Texts with literals seldom come again; their templates do. */
export class RememberedStatements {
  readonly #byText: LRUCache<string, PlannedStatement>;

  constructor(max: number) {
    this.#byText = new LRUCache({ max });
  }

  get(sql: string): PlannedStatement | undefined {
    return this.#byText.get(sql);
  }

  /** Remembers it where it is worth it. `literals`: how many there are in its text. */
  add(statement: PlannedStatement, literals: number): void {
    if (literals === 0 && statement.sql.length <= MAX_REMEMBERED_TEXT)
      this.#byText.set(statement.sql, statement);
  }
}
