import type { ComingAnswer } from './answer-stream.js';

/** A command whose answer is owed. */
export interface OwedAnswer {
  /** Of the answer's first packet. */
  readonly sequence: number;
  /** Nothing of it may reach the client. */
  readonly isSilent?: boolean;
  /** Its answer is our own: it knows of autocommit only what the client was told before. */
  readonly isOwn?: boolean;
  readonly coming?: ComingAnswer;
  readonly onAnswered?: () => void;
}

/** What a client is owed, in the order in which it asked: the first is being answered, the others wait for their turn. */
export class OwedAnswers {
  readonly #owed: OwedAnswer[] = [];
  readonly #begin: (answer: OwedAnswer) => void;

  /** `begin`: the turn of one that the client hears has come. */
  constructor(begin: (answer: OwedAnswer) => void) {
    this.#begin = begin;
  }

  get length(): number {
    return this.#owed.length;
  }

  get isSilent(): boolean {
    return this.#owed[0]?.isSilent === true;
  }

  owe(answer: OwedAnswer): void {
    this.#owed.push(answer);
    if (this.#owed.length === 1) this.beginNext();
  }

  /** The one that has been answered; `beginNext` follows. */
  take(): OwedAnswer | undefined {
    return this.#owed.shift();
  }

  beginNext(): void {
    const next = this.#owed[0];
    if (next !== undefined && next.isSilent !== true) this.#begin(next);
  }
}
