import { LRUCache } from 'lru-cache';
import type { StatementDescription } from './backend.js';

const MAX_STATEMENTS = 20_000;
const MAX_CHARACTERS = 64 * 1024 * 1024;

/** What the process knows of one text with its parameter types. */
export interface StatementFacts {
  readonly id: number;
  /** What it took and gave when it was first prepared on some backend: wherever it is made later, it must be the same. */
  description: StatementDescription | undefined;
}

/**
 * Numbers for prepared statements: equal for equal text and parameter types in the whole process. A number is never
 * given to another text, so a backend that knows statement 7 can serve every client that prepared the same. A statement that
 * was forgotten gets a new number, which costs one more Parse.
 */
export class StatementIds {
  readonly #ids = new LRUCache<string, StatementFacts>({
    max: MAX_STATEMENTS,
    maxSize: MAX_CHARACTERS,
    sizeCalculation: (_facts, text) => text.length + 1,
  });
  #last = 0;

  /**
   * After DDL the same text may mean something else: who prepares it from now on gets another number and so another statement on every
   * backend, while those who prepared it before keep theirs, which their servers refuse or not as they would on one connection.
   */
  schemaChanged(): void {
    this.#ids.clear();
  }

  /** `bytes`: the text's own where they are not UTF-8. */
  factsOf(sql: string, parameterTypes: readonly number[], bytes?: Buffer): StatementFacts {
    // No SQL text holds a zero byte, so the parts cannot run into each other.
    let key = parameterTypes.length === 0 ? sql : `${sql}\0${parameterTypes.join(',')}`;
    if (bytes !== undefined) key = `${parameterTypes.join(',')}\0\0${bytes.toString('latin1')}`;
    let facts = this.#ids.get(key);
    if (facts === undefined) {
      facts = { id: ++this.#last, description: undefined };
      this.#ids.set(key, facts);
    }
    return facts;
  }

  idOf(sql: string, parameterTypes: readonly number[], bytes?: Buffer): number {
    return this.factsOf(sql, parameterTypes, bytes).id;
  }
}
