import type { ShardAddress } from '../migration/engine.js';
import { EngineSession } from './engine-session.js';

/** How long an idle session is kept for the next call. The steps of a cutover follow each other within it. */
const IDLE_TIMEOUT_MS = 5_000;
/** Of a shard that is being talked to, so many stand ready: a cutover does several things there at once while statements wait. */
const SPARE_SESSIONS = 2;

/**
 * Sessions that are lent for one piece of work and kept for a while, so that the short steps of a cutover do not pay for
 * new connections. A session comes back as it was lent: whoever changes its settings connects by himself.
 */
export class EngineSessions {
  readonly #idle = new Map<string, { session: EngineSession; timer: NodeJS.Timeout }[]>();
  /** Spare ones on their way, by URL. */
  readonly #coming = new Map<string, number>();

  /** Lends a session to `work`; one that broke or failed is closed, not kept. */
  async use<T>(address: ShardAddress, work: (session: EngineSession) => Promise<T>): Promise<T> {
    const taken = this.#take(address);
    this.#addSpares(address);
    const session = taken ?? (await EngineSession.connect(address));
    try {
      const result = await work(session);
      this.#keep(session);
      return result;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  #take(address: ShardAddress): EngineSession | undefined {
    const idle = this.#idle.get(address.url) ?? [];
    // The one that has waited longest, so that none is dropped while the shard is talked to.
    for (let entry = idle.shift(); entry !== undefined; entry = idle.shift()) {
      clearTimeout(entry.timer);
      if (entry.session.isLost) continue;
      entry.session.ref(true);
      return entry.session;
    }
    return undefined;
  }

  #addSpares(address: ShardAddress): void {
    const coming = this.#coming.get(address.url) ?? 0;
    const missing = SPARE_SESSIONS - (this.#idle.get(address.url)?.length ?? 0) - coming;
    if (missing <= 0) return;
    this.#coming.set(address.url, coming + missing);
    for (let n = 0; n < missing; n++) {
      EngineSession.connect(address)
        .then(
          (session) => this.#keep(session),
          () => {
            // Who needs a session and cannot have one says so itself.
          },
        )
        .finally(() => this.#coming.set(address.url, this.#coming.get(address.url)! - 1));
    }
  }

  #keep(session: EngineSession): void {
    if (session.isLost) return;
    const idle = this.#idle.get(session.address.url) ?? [];
    this.#idle.set(session.address.url, idle);
    const entry = { session, timer: setTimeout(() => this.#drop(entry), IDLE_TIMEOUT_MS).unref() };
    idle.push(entry);
    session.ref(false);
  }

  #drop(entry: { session: EngineSession; timer: NodeJS.Timeout }): void {
    const idle = this.#idle.get(entry.session.address.url) ?? [];
    const index = idle.indexOf(entry);
    if (index >= 0) idle.splice(index, 1);
    void entry.session.close();
  }
}
