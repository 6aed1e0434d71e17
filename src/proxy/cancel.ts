import { randomBytes, randomInt } from 'node:crypto';

/** What a client gets at login and shows again to cancel (PostgreSQL manual 55.2.8). */
export interface CancelKey {
  readonly processId: number;
  readonly secretKey: Buffer;
}

/** Processes that share their clients give out numbers that differ in this rest. */
const NUMBER_SPACES = 1024;

/** Finds the session that a cancel request means. A wrong key is ignored, as the server does. */
export class CancelKeys {
  readonly #space: number;
  readonly #sessions = new Map<string, () => Promise<void>>();

  /** `space`: this process's own among those that share their clients: KILL must not hit a client of another one that has the same number. */
  constructor(space = 0) {
    this.#space = space % NUMBER_SPACES;
  }

  /** A key that no session has. */
  issue(): CancelKey {
    for (;;) {
      const key = {
        processId: randomInt(1, 2 ** 31 / NUMBER_SPACES) * NUMBER_SPACES + this.#space,
        secretKey: randomBytes(4),
      };
      if (!this.#sessions.has(textOf(key))) return key;
    }
  }

  register(key: CancelKey, cancel: () => Promise<void>): () => void {
    const text = textOf(key);
    this.#sessions.set(text, cancel);
    return () => this.#sessions.delete(text);
  }

  /** Resolves when the servers have heard it: the client may say something else then, and it will not be hit. False: no session here has this key. */
  async cancel(key: CancelKey): Promise<boolean> {
    const cancel = this.#sessions.get(textOf(key));
    await cancel?.();
    return cancel !== undefined;
  }
}

function textOf(key: CancelKey): string {
  return `${key.processId}:${key.secretKey.toString('hex')}`;
}
