import type { Socket } from 'node:net';
import { asError } from './errors.js';
import { Outbox } from './outbox.js';
import { readChunks } from './read-chunks.js';

/** How long a server may take to close after our goodbye. */
const LINGER_MS = 5_000;

/** Cuts what comes into messages: `push` a chunk, then `next` until it says false. */
export interface LinkFramer {
  push(chunk: Buffer): void;
  next(): boolean;
}

/** Who hears what comes over a link. */
export interface LinkListener<F extends LinkFramer> {
  /** The framer stands on one message or part of one. What it throws ends the link. */
  onMessage(found: F): void;
  /** Everything that one read brought has been told. */
  onPauseInReading(): void;
  onDrain(): void;
  /** Once, at the end. */
  onLost(reason: string): void;
}

/** The bytes of one connection to a server: writes once per turn, reads message by message and can stop between two of them. */
export class ServerLink<F extends LinkFramer> {
  readonly socket: Socket;
  isLost = false;
  readonly #framer: F;
  readonly #outbox: Outbox;
  readonly #listener: LinkListener<F>;
  #isPaused = false;
  #isReading = false;

  constructor(socket: Socket, framer: F, listener: LinkListener<F>) {
    this.socket = socket;
    this.#framer = framer;
    this.#listener = listener;
    this.#outbox = new Outbox(socket);
    this.#outbox.onDrain = () => listener.onDrain();
    readChunks(socket, (chunk) => this.#received(chunk));
    socket.on('error', (error) => this.lose(error.message));
    socket.on('end', () => this.lose('the server closed it'));
    socket.on('close', () => this.lose('it was closed'));
    socket.resume();
  }

  /** What is sent from now on may wait for more of the same turn. */
  set isPatient(isPatient: boolean) {
    this.#outbox.isPatient = isPatient;
  }

  /** False: the server is slow, `onDrain` follows. */
  send(chunk: Buffer): boolean {
    return this.#outbox.send(chunk);
  }

  pause(): void {
    this.#isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#read();
    if (!this.#isPaused) this.socket.resume();
  }

  /** Says goodbye and lets the server close. */
  end(goodbye: Buffer): void {
    const { socket } = this;
    this.#outbox.send(goodbye);
    this.#outbox.flush();
    socket.end();
    socket.resume();
    const linger = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    socket.once('close', () => clearTimeout(linger));
  }

  /** Ends it at once; `end` before makes it polite. */
  lose(reason: string): void {
    if (this.isLost) return;
    this.isLost = true;
    if (!this.socket.writableEnded) this.socket.destroy();
    this.#listener.onLost(reason);
  }

  #received(chunk: Buffer): void {
    if (this.isLost) return;
    this.#framer.push(chunk);
    this.#read();
  }

  #read(): void {
    // A listener that pauses and resumes inside a call must not start a second loop.
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (!this.#isPaused && !this.isLost && this.#framer.next()) this.#listener.onMessage(this.#framer);
      if (!this.isLost) this.#listener.onPauseInReading();
    } catch (thrown) {
      this.lose(asError(thrown).message);
    } finally {
      this.#isReading = false;
    }
  }
}
