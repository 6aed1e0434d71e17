import { availableParallelism } from 'node:os';
import type { Elsewhere, ProcessReport } from '../admin/elsewhere.js';
import type { Operation } from '../admin/operate-here.js';
import type { Config } from '../config/config.js';
import { asError, OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import { newRun } from '../proxy/two-phase.js';
import { Dealer } from './dealer.js';
import { Departed } from './departed.js';
import type { ToPrimary, ToWorker, Welcome } from './messages.js';
import type { Roll } from './roll.js';
import { WorkerProcess } from './worker-process.js';

/** How often each worker is asked how it is; one that does not answer this many times in a row is ended and replaced. */
const LOOK_MS = 1_000;
const MAX_MISSED_LOOKS = 10;
/** How long a command waits for a worker's rows. */
const GATHER_LIMIT_MS = 1_000;
/** Pause before a worker that failed to start is tried again. */
const RETRY_MS = 1_000;
/** Beyond its drain a worker may take this long to end by itself. */
const END_LIMIT_MS = 5_000;

export interface CrewOptions {
  readonly count: number;
  readonly entry: string;
  readonly version: string;
  readonly config: () => Config;
  readonly log: Logger;
  /** What a worker must know to begin; asked for in the turn in which it is sent. */
  readonly welcome: (worker: WorkerProcess) => Welcome;
  /** It takes part from the turn of its welcome on. Returns what to do when it has ended. */
  readonly join: (worker: WorkerProcess) => () => Promise<void>;
  readonly onMessage: (worker: WorkerProcess, message: ToPrimary) => unknown;
  readonly roll: Roll;
}

export function workerCount(workers: Config['workers']): number {
  return workers === 'auto' ? availableParallelism() : workers;
}

/** All workers of a primary: started, looked at, replaced when they die, renewed one after the other, and ended. */
export class Crew implements Elsewhere {
  readonly dealer: Dealer;
  readonly #options: CrewOptions;
  readonly #workers = new Set<WorkerProcess>();
  readonly #departed = new Departed();
  readonly #looking: NodeJS.Timeout;
  /** Workers whose share has, or gets, a new owner. */
  readonly #succeeded = new WeakSet<WorkerProcess>();
  #lastNumber = 0;
  #isClosing = false;
  #renewing: Promise<void> = Promise.resolve();

  constructor(options: CrewOptions) {
    this.#options = options;
    this.dealer = new Dealer(
      () => [...this.#workers],
      () => options.config().limits.maxClients,
    );
    this.#looking = setInterval(() => this.#lookAtAll(), LOOK_MS);
  }

  /** Resolves when all serve. Rejects when one cannot be started. */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.count }, (_, slot) => this.#startWorker(slot)));
  }

  /** Does any process of this run live? Then what it has prepared is its own business. */
  isAlive(run: string): boolean {
    return [...this.#workers].some(({ place }) => place.run === run);
  }

  /** Those that have been welcomed. */
  get #present(): readonly WorkerProcess[] {
    return [...this.#workers].filter(({ phase }) => phase !== 'starting' && phase !== 'ended');
  }

  /** Asks all but `except`; answers of those that live come back. */
  async askAll(message: ToWorker, except?: WorkerProcess): Promise<unknown[]> {
    const asking = this.#present
      .filter((worker) => worker !== except)
      .map((worker) =>
        worker.channel.ask(message).catch((thrown) => {
          if (worker.phase === 'ended') return undefined;
          throw thrown;
        }),
      );
    return Promise.all(asking);
  }

  tellAll(message: ToWorker, except?: WorkerProcess): void {
    for (const worker of this.#present) if (worker !== except) worker.channel.tell(message);
  }

  reports(): readonly ProcessReport[] {
    return [this.#departed.report, ...[...this.#workers].flatMap(({ report }) => report ?? [])];
  }

  async gather(what: 'counts' | 'everything'): Promise<void> {
    const looking = this.#present.map((worker) => worker.look(what === 'everything', GATHER_LIMIT_MS));
    await Promise.allSettled(looking);
  }

  async operate(what: Operation, database: string | undefined): Promise<void> {
    await this.askAll({ type: 'operate', what, database: database ?? null });
  }

  /** New workers first, one share after the other; then the one before it drains. Rejects when a new one cannot be started: the others stay. */
  renew(drainMs: number): Promise<void> {
    const renewing = this.#renewing.then(() => this.#renewAll(drainMs));
    this.#renewing = renewing.catch(() => {});
    return renewing;
  }

  /** Lets transactions end for `drainMs`, then ends all. */
  async close(drainMs: number): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#looking);
    this.dealer.stop();
    await Promise.all([...this.#workers].map((worker) => this.#dismiss(worker, drainMs)));
  }

  async #renewAll(drainMs: number): Promise<void> {
    const draining: Promise<void>[] = [];
    for (const worker of [...this.#workers].filter(({ phase }) => phase === 'serving')) {
      if (this.#isClosing) return;
      await this.#startSuccessor(worker);
      draining.push(this.#dismiss(worker, drainMs));
    }
    await Promise.all(draining);
  }

  /** If the one before dies in the meantime, its share has this successor and needs no other. */
  async #startSuccessor(worker: WorkerProcess): Promise<void> {
    const { slot } = worker.place;
    this.#succeeded.add(worker);
    try {
      await this.#startWorker(slot);
    } catch (thrown) {
      this.#succeeded.delete(worker);
      if (worker.phase === 'ended') void this.#replace(slot);
      throw thrown;
    }
  }

  async #startWorker(slot: number): Promise<void> {
    const { entry, version, log, welcome, join, onMessage } = this.#options;
    const number = ++this.#lastNumber;
    const worker = new WorkerProcess({
      number,
      slot,
      run: newRun(),
      entry,
      version,
      log,
      onMessage: (from, message) => onMessage(from, message),
    });
    this.#workers.add(worker);
    this.#noteRoll();
    let leave: () => Promise<void> = async () => {};
    void worker.ended.then(() => this.#bury(worker, leave));
    try {
      await worker.started();
      if (this.#isClosing) throw new OperatingError('shutting-down', 'Ringferry is shutting down');
      // In one turn: what is published from here on comes behind the welcome.
      worker.phase = 'joining';
      const welcomed = worker.channel.ask(welcome(worker));
      leave = join(worker);
      await welcomed;
    } catch (thrown) {
      worker.kill();
      throw thrown;
    }
    worker.phase = 'serving';
    worker.onRoom = () => this.dealer.deal();
    log.info({ worker: number, processId: worker.processId }, 'a worker serves');
    this.dealer.deal();
  }

  /** After the end of a worker: nobody waits for it, what it had prepared is resolved, and another one takes its place. */
  async #bury(worker: WorkerProcess, leave: () => Promise<void>): Promise<void> {
    const { log } = this.#options;
    const { number, slot } = worker.place;
    const isReplaced = worker.wasServing && !this.#isClosing && !this.#succeeded.has(worker);
    this.#workers.delete(worker);
    this.#noteRoll();
    if (worker.report !== undefined) this.#departed.add(worker.report);
    this.dealer.deal(worker.takeBack());
    if (isReplaced) log.error({ worker: number }, 'a worker has died; another one takes its place');
    await leave().catch((thrown) =>
      log.error(
        { worker: number, reason: asError(thrown).message },
        'what a dead worker left is not cleared yet',
      ),
    );
    if (isReplaced) await this.#replace(slot);
  }

  #noteRoll(): void {
    this.#options.roll.write([...this.#workers].map(({ processId }) => processId));
  }

  async #replace(slot: number): Promise<void> {
    while (!this.#isClosing) {
      try {
        return await this.#startWorker(slot);
      } catch (thrown) {
        this.#options.log.error(
          { reason: asError(thrown).message },
          'a worker cannot be started; it is tried again',
        );
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #dismiss(worker: WorkerProcess, drainMs: number): Promise<void> {
    if (worker.phase === 'ended') return;
    worker.phase = 'draining';
    const limitMs = drainMs + END_LIMIT_MS;
    const isBounded = Number.isFinite(limitMs);
    const timer = isBounded ? setTimeout(() => worker.kill(), limitMs) : undefined;
    worker.channel
      .ask({ type: 'drain', drainMs: isBounded ? drainMs : null })
      .then((answer) => {
        worker.noteLastReport(answer);
        worker.letGo();
      })
      // One that has not begun has nothing to report.
      .catch(() => worker.kill());
    await worker.ended;
    clearTimeout(timer);
  }

  /** Counts looks instead of time: a machine that slept has not missed any. */
  #lookAtAll(): void {
    for (const worker of this.#present) {
      if (++worker.missedLooks > MAX_MISSED_LOOKS) {
        this.#options.log.error(
          { worker: worker.place.number },
          'a worker does not answer any more; it is ended',
        );
        worker.kill();
      } else if (worker.missedLooks === 1)
        worker.look(false, GATHER_LIMIT_MS * MAX_MISSED_LOOKS).catch(() => {});
    }
  }
}
