import type { Backend, RelaySink, ServerError, TransactionStatus } from '../pool/backend.js';
import type { Request } from '../pool/request.js';
import type { Frontend } from './frontend.js';

/** How a relayed request ended. */
export interface RelayOutcome {
  readonly status: TransactionStatus;
  readonly error: ServerError | undefined;
  readonly broken: Error | undefined;
  /** Anything had already gone to the client when it broke. */
  readonly hasAnswered: boolean;
  readonly tags: readonly string[];
  /** Bytes held back from the first command tag on, to be sent when the write is safe. */
  readonly held: readonly Buffer[];
  readonly sawCopyIn: boolean;
}

export interface RelayOptions {
  readonly rename: boolean;
  readonly before?: readonly string[];
  /** Keep everything from the first command tag on in `held`. */
  readonly holdCompletion?: boolean;
  readonly onCopyIn?: () => void;
}

/** Passes one request to a backend and its answers to the client as the bytes they came in. */
export function relay(
  frontend: Frontend,
  backend: Backend,
  request: Request,
  options: RelayOptions,
): Promise<RelayOutcome> {
  return new Promise((resolve) => backend.forward(request, new Relay(frontend, options, resolve), options));
}

class Relay implements RelaySink {
  readonly #frontend: Frontend;
  readonly #options: RelayOptions;
  readonly #resolve: (outcome: RelayOutcome) => void;
  readonly #tags: string[] = [];
  readonly #held: Buffer[] = [];
  #error: ServerError | undefined;
  #isHolding = false;
  #hasAnswered = false;
  #sawCopyIn = false;

  constructor(frontend: Frontend, options: RelayOptions, resolve: (outcome: RelayOutcome) => void) {
    this.#frontend = frontend;
    this.#options = options;
    this.#resolve = resolve;
  }

  onBytes(chunk: Buffer): boolean {
    if (this.#isHolding) {
      this.#held.push(Buffer.from(chunk));
      return true;
    }
    this.#hasAnswered = true;
    return this.#frontend.send(chunk);
  }

  onError(error: ServerError): void {
    this.#error ??= error;
  }

  onCommandTag(tag: string): void {
    this.#tags.push(tag);
    if (this.#options.holdCompletion === true) this.#isHolding = true;
    else this.#frontend.completes();
  }

  onCopyIn(): void {
    this.#sawCopyIn = true;
    this.#options.onCopyIn?.();
    this.#frontend.beginCopy?.();
  }

  onProgress(frame: Buffer): void {
    if (!this.#isHolding) this.#frontend.progress?.(frame);
  }

  onParameter(): void {}

  onEnd(status: TransactionStatus): void {
    this.#finish(status, undefined);
  }

  onBroken(error: Error): void {
    this.#finish('idle', error);
  }

  #finish(status: TransactionStatus, broken: Error | undefined): void {
    this.#resolve({
      status,
      error: this.#error,
      broken,
      hasAnswered: this.#hasAnswered,
      tags: this.#tags,
      held: this.#held,
      sawCopyIn: this.#sawCopyIn,
    });
  }
}
