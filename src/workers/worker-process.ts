import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import type { ProcessReport } from '../admin/elsewhere.js';
import type { DatabaseConfig } from '../config/config.js';
import { asError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import { Channel } from './channel.js';
import { type ToPrimary, type ToWorker, toPrimarySchema } from './messages.js';
import { readReport } from './report.js';

/** Sockets on their way to one worker; more than this and another one gets them. */
const MAX_ON_THE_WAY = 8;
const START_LIMIT_MS = 30_000;

export interface WorkerPlace {
  /** Among all workers that ever were. */
  readonly number: number;
  /** Of those that serve together, 0 to n-1: which share of the pools it has. */
  readonly slot: number;
  /** Names its two-phase commits. */
  readonly run: string;
}

export interface WorkerOptions extends WorkerPlace {
  /** The file that a worker runs. */
  readonly entry: string;
  readonly version: string;
  readonly log: Logger;
  readonly onMessage: (worker: WorkerProcess, message: ToPrimary) => unknown;
}

/** A socket and what the worker must know of it. */
export interface Arrival {
  readonly engine: DatabaseConfig['engine'];
  readonly socket: Socket;
}

/** One worker as its primary sees it: a child process, the conversation with it, the sockets that it was given. */
export class WorkerProcess {
  readonly place: WorkerPlace;
  readonly channel: Channel<ToPrimary, ToWorker>;
  /** Resolves when the process has ended and all that it said was heard. */
  readonly ended: Promise<void>;
  /** `joining`: it has its welcome, and hears everything from then on. */
  phase: 'starting' | 'joining' | 'serving' | 'draining' | 'ended' = 'starting';
  /** It served when it ended: nobody had asked it to. */
  wasServing = false;
  /** Told when it may be given more sockets. */
  onRoom: () => void = () => {};
  /** The last one. */
  report: ProcessReport | undefined;
  /** Looks in a row that were not answered. */
  missedLooks = 0;
  /** Sockets that it may not know of yet: ours too until it says that it has them. */
  readonly #onTheWay: Arrival[] = [];
  readonly #kept = new Set<Promise<unknown>>();
  readonly #child: ChildProcess;
  readonly #log: Logger;
  #given = 0;
  #taken = 0;
  #open = 0;
  #onHello: () => void = () => {};

  constructor(options: WorkerOptions) {
    this.place = { number: options.number, slot: options.slot, run: options.run };
    this.#log = options.log.child({ worker: options.number });
    this.#child = fork(options.entry, [], {
      // Not the options that tell Node to test or to be debugged.
      execArgv: process.execArgv.filter((word) => !/^--(test|inspect)/.test(word)),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.channel = new Channel<ToPrimary, ToWorker>({
      wire: { send: (message, socket) => this.#send(message, socket as Socket | undefined) },
      schema: toPrimarySchema,
      onMessage: (message) => this.#take(message, options),
      log: this.#log,
    });
    this.#child.on('message', (raw) => this.channel.receive(raw));
    this.ended = this.#untilEnded().then(async () => {
      await Promise.allSettled(this.#kept);
      this.wasServing = this.phase === 'serving';
      this.phase = 'ended';
      this.channel.close();
    });
  }

  get processId(): number {
    return this.#child.pid ?? 0;
  }

  /** Sockets that are open there or on their way. */
  get connections(): number {
    return this.#given - this.#taken + this.#open;
  }

  get mayBeGiven(): boolean {
    return this.phase === 'serving' && this.missedLooks < 2 && this.#onTheWay.length < MAX_ON_THE_WAY;
  }

  /** Resolves when it has said its first word. Rejects when it ends before, or is of another version. */
  async started(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`worker ${this.place.number} did not start`)),
        START_LIMIT_MS,
      );
    });
    const hello = new Promise<void>((resolve) => {
      this.#onHello = resolve;
    });
    const ended = this.ended.then(() => {
      throw new Error(`worker ${this.place.number} ended while it started; its log says why`);
    });
    ended.catch(() => {});
    try {
      await Promise.race([hello, ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Hands a client over. Until the worker has said that it took it, the socket is kept for somebody else. */
  give(arrival: Arrival, isOverLimit: boolean): void {
    this.#given++;
    this.#onTheWay.push(arrival);
    this.channel.tell({ type: 'client', engine: arrival.engine, isOverLimit }, arrival.socket);
  }

  /** What it was given and had not taken when it ended: nobody has read from these. */
  takeBack(): Arrival[] {
    return this.#onTheWay.splice(0);
  }

  async look(isFull: boolean, limitMs: number): Promise<void> {
    const answer = await this.channel.ask({ type: 'report', isFull }, limitMs);
    this.missedLooks = 0;
    this.report = readReport(answer, this.place.number, isFull ? undefined : this.report);
  }

  noteLastReport(answer: unknown): void {
    this.report = readReport(answer, this.place.number, undefined);
  }

  /** Its end is not told before this has come to one: who clears up after it must find it done or not done. */
  keep<T>(act: Promise<T>): Promise<T> {
    this.#kept.add(act);
    const forget = () => void this.#kept.delete(act);
    act.then(forget, forget);
    return act;
  }

  /** It has nothing more to say. */
  letGo(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #take(message: ToPrimary, options: WorkerOptions): unknown {
    if (message.type === 'hello') {
      if (message.version === options.version) this.#onHello();
      else {
        this.#log.error(
          { running: options.version, found: message.version },
          'the program was replaced by another version: restart Ringferry as a whole',
        );
        this.kill();
      }
      return undefined;
    }
    if (message.type !== 'connections') return options.onMessage(this, message);
    this.#open = message.open;
    for (; this.#taken < message.taken; this.#taken++) this.#onTheWay.shift()?.socket.destroy();
    this.onRoom();
    return undefined;
  }

  #send(message: object, socket: Socket | undefined): void {
    // A failure ends in 'exit' or 'disconnect'.
    const noted = () => {};
    if (socket === undefined) this.#child.send(message, noted);
    else this.#child.send(message, socket, { keepOpen: true }, noted);
  }

  /** One that lives without a channel can neither hear of a hold nor be asked: it must not go on. */
  async #untilEnded(): Promise<void> {
    const exited = new Promise<void>((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', (error) => {
        this.#log.error(
          { reason: asError(error).message },
          'a worker could not be started or told something',
        );
        if (this.#child.pid === undefined) resolve();
      });
    });
    const disconnected = new Promise<void>((resolve) => {
      this.#child.once('disconnect', resolve);
      void exited.then(() => this.#child.connected || resolve());
    });
    void disconnected.then(() => this.kill());
    await Promise.all([exited, disconnected]);
  }
}
