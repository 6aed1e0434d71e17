import { randomFillSync } from 'node:crypto';

/** What a client gets at login and shows again to cancel (PostgreSQL manual 55.2.8). */
export interface CancelKey {
  readonly processId: number;
  readonly secretKey: Buffer;
}

/** Processes that share their clients give out numbers that differ in this rest. */
const NUMBER_SPACES = 1024;
const MOST_NUMBERS = 2 ** 31 / NUMBER_SPACES;
/** Of random bytes, asked of the system for so many keys at a time. */
const KEY_BYTES = 8;
const KEYS_AT_A_TIME = 256;

/** Finds the session that a cancel request means. A wrong key is ignored, as the server does. */
export class CancelKeys {
  readonly #space: number;
  readonly #sessions = new Map<string, () => Promise<void>>();
  readonly #random = Buffer.alloc(KEY_BYTES * KEYS_AT_A_TIME);
  #used = this.#random.length;

  /** `space`: this process's own among those that share their clients: KILL must not hit a client of another one that has the same number. */
  constructor(space = 0) {
    this.#space = space % NUMBER_SPACES;
  }

  /** A key that no session has. */
  issue(): CancelKey {
    for (;;) {
      const random = this.#takeRandom();
      const number = 1 + (random.readUInt32BE(4) % (MOST_NUMBERS - 1));
      const key = {
        processId: number * NUMBER_SPACES + this.#space,
        secretKey: Buffer.from(random.subarray(0, 4)),
      };
      if (!this.#sessions.has(textOf(key))) return key;
    }
  }

  /** Never the same twice. */
  #takeRandom(): Buffer {
    if (this.#used === this.#random.length) {
      randomFillSync(this.#random);
      this.#used = 0;
    }
    this.#used += KEY_BYTES;
    return this.#random.subarray(this.#used - KEY_BYTES, this.#used);
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
