import type { ShardAddress } from '../migration/engine.js';
import { EngineSession } from './engine-session.js';

/** How long an idle session is kept for the next call. */
const IDLE_TIMEOUT_MS = 5_000;
/** What the steps of a cutover use at once at one database: two fences with their guards, a mark, the ids. */
const READY_SESSIONS = 4;

interface Idle {
  readonly session: EngineSession;
  readonly timer: NodeJS.Timeout;
}

/**
 * Sessions that are lent for one piece of work and kept for a while, so that the short steps of a cutover do not pay for
 * new connections. A session comes back as it was lent: whoever changes its settings connects by himself.
 */
export class EngineSessions {
  readonly #idle = new Map<string, Idle[]>();
  /** By URL: for whom some sessions are always kept. */
  readonly #ready = new Map<string, Set<string>>();

  /** Lends a session to `work`; one that broke or failed is closed, not kept. */
  async use<T>(address: ShardAddress, work: (session: EngineSession) => Promise<T>): Promise<T> {
    const session = await this.borrow(address);
    try {
      const result = await work(session);
      this.giveBack(session);
      return result;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** A session for longer than one piece of work: comes back by `giveBack`, or is closed. It takes several statements at once. */
  async borrow(address: ShardAddress): Promise<EngineSession> {
    return this.#take(address) ?? (await EngineSession.connect(address, { batches: true }));
  }

  giveBack(session: EngineSession): void {
    if (session.isLost) return;
    const idle = this.#idleAt(session.address);
    const entry = { session, timer: setTimeout(() => this.#expire(entry), IDLE_TIMEOUT_MS).unref() };
    idle.push(entry);
    session.ref(false);
  }

  /** Connects some sessions now and keeps them, until `release` is called with the same `reason`. */
  async keepReady(address: ShardAddress, reason: string): Promise<void> {
    this.#ready.set(address.url, (this.#ready.get(address.url) ?? new Set()).add(reason));
    const missing = READY_SESSIONS - this.#idleAt(address).filter(({ session }) => !session.isLost).length;
    const made = Array.from({ length: Math.max(0, missing) }, () =>
      EngineSession.connect(address, { batches: true }),
    );
    for (const session of await Promise.all(made)) this.giveBack(session);
  }

  /** They are closed when they have been idle for long. */
  release(address: ShardAddress, reason: string): void {
    const reasons = this.#ready.get(address.url);
    reasons?.delete(reason);
    if (reasons?.size !== 0) return;
    this.#ready.delete(address.url);
    for (const { timer } of this.#idleAt(address)) timer.refresh();
  }

  #idleAt({ url }: ShardAddress): Idle[] {
    const idle = this.#idle.get(url) ?? [];
    this.#idle.set(url, idle);
    return idle;
  }

  /** The last that came back: the others may be closed. */
  #take(address: ShardAddress): EngineSession | undefined {
    const idle = this.#idleAt(address);
    for (let entry = idle.pop(); entry !== undefined; entry = idle.pop()) {
      clearTimeout(entry.timer);
      if (entry.session.isLost) continue;
      entry.session.ref(true);
      return entry.session;
    }
    return undefined;
  }

  #expire(entry: Idle): void {
    const { address } = entry.session;
    const idle = this.#idleAt(address);
    const isWanted = this.#ready.has(address.url) && idle.length <= READY_SESSIONS;
    if (isWanted && !entry.session.isLost) return;
    const index = idle.indexOf(entry);
    if (index >= 0) idle.splice(index, 1);
    void entry.session.close();
  }
}
