import { randomBytes, randomInt } from 'node:crypto';

/** What a client gets at login and shows again to cancel (PostgreSQL manual 55.2.8). */
export interface CancelKey {
  readonly processId: number;
  readonly secretKey: Buffer;
}

/** Finds the session that a cancel request means. A wrong key is ignored, as the server does. */
export class CancelKeys {
  readonly #sessions = new Map<string, () => void>();

  /** A key that no session has. */
  issue(): CancelKey {
    for (;;) {
      const key = { processId: randomInt(1, 2 ** 31 - 1), secretKey: randomBytes(4) };
      if (!this.#sessions.has(textOf(key))) return key;
    }
  }

  register(key: CancelKey, cancel: () => void): () => void {
    const text = textOf(key);
    this.#sessions.set(text, cancel);
    return () => this.#sessions.delete(text);
  }

  cancel(key: CancelKey): boolean {
    const cancel = this.#sessions.get(textOf(key));
    cancel?.();
    return cancel !== undefined;
  }
}

function textOf(key: CancelKey): string {
  return `${key.processId}:${key.secretKey.toString('hex')}`;
}
