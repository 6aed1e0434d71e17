/**
 * Which prepared statements exist on one backend: what we know them by → the server's id. Those that the whole process
 * shares are bounded, the longest unused closed; a session's own live until the session closes them.
 */
export class ServerStatements {
  parsesTotal = 0;
  readonly #max: number;
  /** In the order of use, the longest unused first. */
  readonly #shared = new Map<string, number>();
  readonly #own = new Map<string, number>();
  /** By the statement's number: a key is a long text, made once and not for each execution. */
  readonly #keys = new Map<number, string>();
  #keysUnder = '';

  constructor(max: number) {
    this.#max = max;
  }

  /** What a process-wide statement is known by while the session that is served has these settings: the same text means something else under others. */
  sharedKey(statementId: number, settings: string): string {
    if (settings !== this.#keysUnder || this.#keys.size > this.#max) {
      this.#keys.clear();
      this.#keysUnder = settings;
    }
    let key = this.#keys.get(statementId);
    if (key === undefined) {
      key = `shared ${statementId} ${settings}`;
      this.#keys.set(statementId, key);
    }
    return key;
  }

  /** Counts as use. */
  find(key: string): number | undefined {
    const id = this.#shared.get(key);
    if (id === undefined) return this.#own.get(key);
    // While there is much room, nobody asks for the order.
    if (this.#shared.size * 2 <= this.#max) return id;
    this.#shared.delete(key);
    this.#shared.set(key, id);
    return id;
  }

  get size(): number {
    return this.#shared.size + this.#own.size;
  }

  add(key: string, id: number, isShared: boolean): void {
    this.parsesTotal++;
    (isShared ? this.#shared : this.#own).set(key, id);
  }

  /** Forgets it; the caller closes it on the server. */
  take(key: string): number | undefined {
    const id = this.#shared.get(key) ?? this.#own.get(key);
    this.#shared.delete(key);
    this.#own.delete(key);
    return id;
  }

  /** The server has dropped them all. */
  clear(): void {
    this.#shared.clear();
    this.#own.clear();
  }

  /** Forgets the longest unused ones that are too many; the caller closes them on the server. */
  takeSurplus(): number[] {
    const surplus: number[] = [];
    for (const [key, id] of this.#shared) {
      if (this.#shared.size <= this.#max) break;
      this.#shared.delete(key);
      surplus.push(id);
    }
    return surplus;
  }
}
