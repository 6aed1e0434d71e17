import type { Backend, RequestLine } from './backend.js';

/** How often lanes are looked at. */
const LOOK_MS = 20;
/** A head that is not answered at so many looks in a row holds the others up. */
const STILL_LOOKS = 2;
/** … or for so many times as long as such requests usually take. */
const PATIENCE = 4;
/** Nobody goes behind others who will take longer than this, in milliseconds, while another backend can be had. */
const WORTH_WAITING_MS = 0.5;
/** Weight of the newest request in the usual times. */
const NEWEST = 1 / 64;

/** One backend that is lent to the reads of many sessions at once. */
export class SharedLane {
  readonly backend: Backend;
  readonly line: RequestLine;
  /** What is SET on it, which is what all who stand in line have SET. */
  readonly settings: string;
  /** Nobody joins any more; it goes back when its line is empty. */
  isClosed = false;
  /** A cancel may still be on its way to it. */
  isInDoubt = false;
  /** The request that was cancelled on it last, by `answeredTotal`. */
  cancelledAt = -1;
  /** How long those who stand in line will keep the server busy, in milliseconds. */
  weightMs = 0;
  /** When its last request was answered, by performance.now(). */
  answeredAtMs = 0;
  /** At the last look. */
  answeredThen = 0;
  stillLooks = 0;

  constructor(backend: Backend, line: RequestLine) {
    this.backend = backend;
    this.line = line;
    this.settings = backend.settings;
  }
}

/** What lanes need of their pool. */
export interface LanePool {
  readonly longestLine: number;
  /** Lanes that may stay open while others wait for a backend of their own. */
  readonly lanesUnderPressure: number;
  /** Lanes are all that there is, and somebody has waited for too long for one of them. */
  isTurnOfOthers(): boolean;
  isUsable(backend: Backend): boolean;
  giveBack(backend: Backend, isInDoubt: boolean): void;
}

/**
 * The backends of one pool that are shared at the moment. Requests are put on few of them, because a server with few busy
 * connections does more, and because what is written together costs one system call; another backend is taken when the wait in the
 * shortest line would be noticed. A line whose head takes long is dissolved, and who stood in it runs elsewhere.
 */
export class SharedLanes {
  readonly #pool: LanePool;
  readonly #lanes: SharedLane[] = [];
  /** From joining to answer. */
  #usualMs = 0;
  #watch: NodeJS.Timeout | undefined;

  constructor(pool: LanePool) {
    this.#pool = pool;
  }

  /**
   * The open lane that a request with these settings should join: the first whose line is short, so that few are busy and the
   * others run dry and go back; else the one with the shortest line.
   */
  best(settings: string): SharedLane | undefined {
    let shortest: SharedLane | undefined;
    for (const lane of this.#lanes) {
      if (lane.isClosed || lane.settings !== settings) continue;
      if (this.isShort(lane)) return lane;
      if (shortest === undefined || lane.weightMs < shortest.weightMs) shortest = lane;
    }
    return shortest;
  }

  /** Nobody would notice the wait in it. One that stood still at the last look may be held up by its head. */
  isShort({ line, weightMs, stillLooks }: SharedLane): boolean {
    return stillLooks === 0 && weightMs < WORTH_WAITING_MS && line.length < this.#pool.longestLine;
  }

  isFull({ line }: SharedLane): boolean {
    return line.length >= this.#pool.longestLine;
  }

  /** May one more be open while others wait for backends of their own? */
  get mayOpenUnderPressure(): boolean {
    let open = 0;
    for (const lane of this.#lanes) if (!lane.isClosed) open++;
    return open < this.#pool.lanesUnderPressure;
  }

  open(backend: Backend, line: RequestLine): SharedLane {
    const lane = new SharedLane(backend, line);
    lane.answeredThen = line.answeredTotal;
    this.#lanes.push(lane);
    this.#watch ??= setInterval(() => this.#look(), LOOK_MS).unref();
    return lane;
  }

  /** To be called when a request of the lane has ended; gives the backend back when it was the last one. What was given up ends unseen: the next look finds it. */
  left(lane: SharedLane): void {
    if (lane.line.length > 0) return;
    const at = this.#lanes.indexOf(lane);
    if (at === -1) return;
    this.#lanes.splice(at, 1);
    this.#pool.giveBack(lane.backend, lane.isInDoubt);
  }

  /**
   * A request of the lane is answered. Returns how long the server was busy with it: since it had answered the one before, or since
   * the request may have reached it (`floorMs`: the way there and back).
   */
  answered(lane: SharedLane, joinedAtMs: number, floorMs: number, nowMs: number): number {
    const busyMs = Math.max(0, nowMs - Math.max(joinedAtMs + floorMs, lane.answeredAtMs));
    lane.answeredAtMs = nowMs;
    this.#usualMs += (nowMs - joinedAtMs - this.#usualMs) * NEWEST;
    return busyMs;
  }

  /** Others wait for backends of their own: lanes beyond those that may stay open end when their lines are empty. */
  yield(): void {
    const open = this.#lanes.filter((lane) => !lane.isClosed);
    open.sort((one, other) => one.line.length - other.line.length);
    for (const lane of open.slice(0, Math.max(0, open.length - this.#pool.lanesUnderPressure)))
      lane.isClosed = true;
  }

  /** Lets those go who stand behind the head; it has the backend for itself from now on. */
  isolate(lane: SharedLane): void {
    lane.isClosed = true;
    lane.line.dissolve();
  }

  /** Cancels what runs at the head of a line that has been dissolved; resolves when the server has heard it. */
  async cancelHead(lane: SharedLane): Promise<void> {
    lane.isInDoubt = true;
    lane.cancelledAt = lane.line.answeredTotal;
    // A cancel that cannot be delivered leaves the statement running to its own end.
    await lane.backend.cancel().catch(() => undefined);
  }

  /** Nobody joins any lane any more. They are looked at until the last one is back: what was given up ends unseen. */
  close(): void {
    for (const lane of this.#lanes) lane.isClosed = true;
  }

  #look(): void {
    const patience = Math.max(STILL_LOOKS, Math.ceil((this.#usualMs * PATIENCE) / LOOK_MS));
    for (const lane of [...this.#lanes]) {
      const { answeredTotal } = lane.line;
      lane.stillLooks = answeredTotal === lane.answeredThen ? lane.stillLooks + 1 : 0;
      lane.answeredThen = answeredTotal;
      if (lane.line.length === 0) this.left(lane);
      else if (lane.stillLooks >= patience) this.#stands(lane);
      else if (!this.#pool.isUsable(lane.backend) || this.#pool.isTurnOfOthers()) lane.isClosed = true;
    }
    if (this.#lanes.length > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  /** Its head takes long. What nobody waits for any more is cancelled. */
  #stands(lane: SharedLane): void {
    if (!lane.isClosed || lane.line.length > 1) this.isolate(lane);
    if (lane.line.isHeadGivenUp && lane.cancelledAt !== lane.line.answeredTotal) void this.cancelHead(lane);
  }
}
