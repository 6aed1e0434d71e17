import { LRUCache } from 'lru-cache';

const MAX_STATEMENTS = 20_000;
const MAX_CHARACTERS = 64 * 1024 * 1024;

/**
 * Numbers for prepared statements: equal for equal text and parameter types in the whole process. A number is never
 * given to another text, so a backend that knows statement 7 can serve every client that prepared the same. A statement that
 * was forgotten gets a new number, which costs one more Parse.
 */
export class StatementIds {
  readonly #ids = new LRUCache<string, number>({
    max: MAX_STATEMENTS,
    maxSize: MAX_CHARACTERS,
    sizeCalculation: (_id, text) => text.length + 1,
  });
  #last = 0;

  /** `bytes`: the text's own where they are not UTF-8. */
  idOf(sql: string, parameterTypes: readonly number[], bytes?: Buffer): number {
    // No SQL text holds a zero byte, so the parts cannot run into each other.
    let key = parameterTypes.length === 0 ? sql : `${sql}\0${parameterTypes.join(',')}`;
    if (bytes !== undefined) key = `${parameterTypes.join(',')}\0\0${bytes.toString('latin1')}`;
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = ++this.#last;
      this.#ids.set(key, id);
    }
    return id;
  }
}
