import { z } from 'zod';
import { asError, asOperatingError, ERROR_TABLE, type ErrorCode, OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';

/** What carries messages in order, or loses all that come after the first one that it loses. */
export interface Wire {
  /** `socket`: goes along with the message. */
  send(message: object, socket?: unknown): void;
}

/** A message, its number when it wants an answer; or an answer. */
const envelope = z.union([
  z.object({ message: z.unknown(), ask: z.int().optional() }).refine((value) => value.message !== undefined),
  z.object({ answer: z.int(), value: z.unknown() }),
  z.object({
    refused: z.int(),
    error: z.object({
      code: z.enum(Object.keys(ERROR_TABLE) as [ErrorCode, ...ErrorCode[]]),
      message: z.string(),
      hint: z.string().optional(),
      detail: z.string().optional(),
      sqlstate: z.string().optional(),
    }),
  }),
]);

/** Questions without an answer yet, at most. */
const MAX_ASKED = 100_000;

interface Asked {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

interface Typed {
  readonly type: string;
}

export interface ChannelOptions<In extends Typed> {
  readonly wire: Wire;
  /** What may come in. */
  readonly schema: z.ZodType<In>;
  /** Its result, or what it resolves with, is the answer; what it throws is the refusal. */
  readonly onMessage: (message: In, socket: unknown) => unknown;
  readonly log: Logger;
}

/** One end of the conversation of a primary and a worker: messages, and questions with their answers. */
export class Channel<In extends Typed, Out extends Typed> {
  readonly #options: ChannelOptions<In>;
  readonly #asked = new Map<number, Asked>();
  #lastAsk = 0;
  #isClosed = false;

  constructor(options: ChannelOptions<In>) {
    this.#options = options;
  }

  tell(message: Out, socket?: unknown): void {
    if (!this.#isClosed) this.#options.wire.send({ message }, socket);
  }

  /**
   * Resolves with the answer. Rejects with the other side's error, with `not-ready` when the other side has gone, and
   * after `limitMs` (undefined: the other side's end is the only limit).
   */
  ask(message: Out, limitMs?: number): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(gone(message.type));
    if (this.#asked.size >= MAX_ASKED)
      return Promise.reject(
        new OperatingError('limit-exceeded', `${MAX_ASKED} questions wait for an answer`),
      );
    const ask = ++this.#lastAsk;
    return new Promise((resolve, reject) => {
      const late = () => {
        this.#asked.delete(ask);
        reject(new OperatingError('not-ready', `"${message.type}" was not answered within ${limitMs} ms`));
      };
      const timer = limitMs === undefined ? undefined : setTimeout(late, limitMs);
      this.#asked.set(ask, { resolve, reject, timer });
      this.#options.wire.send({ message, ask });
    });
  }

  /** What came over the wire. */
  receive(raw: unknown, socket?: unknown): void {
    const parsed = envelope.safeParse(raw);
    if (!parsed.success) {
      this.#fault(raw, parsed.error.message);
      return;
    }
    const { data } = parsed;
    if ('answer' in data) this.#takeAsked(data.answer)?.resolve(data.value);
    else if ('refused' in data) {
      const { code, message, ...facts } = data.error;
      this.#takeAsked(data.refused)?.reject(new OperatingError(code, message, defined(facts)));
    } else this.#act(data.message, data.ask, socket);
  }

  /** The other side has gone: nothing is asked or answered any more. */
  close(): void {
    this.#isClosed = true;
    for (const [ask] of [...this.#asked]) this.#takeAsked(ask)?.reject(gone('a question'));
  }

  #act(raw: unknown, ask: number | undefined, socket: unknown): void {
    const parsed = this.#options.schema.safeParse(raw);
    if (!parsed.success) {
      this.#fault(raw, parsed.error.message);
      if (ask !== undefined) this.#refuse(ask, new Error('the message was not understood'));
      return;
    }
    let result: unknown;
    try {
      result = this.#options.onMessage(parsed.data, socket);
    } catch (thrown) {
      result = Promise.reject(thrown);
    }
    if (ask === undefined)
      Promise.resolve(result).catch((thrown) => this.#fault(raw, asError(thrown).message));
    else if (result instanceof Promise)
      result.then(
        (value) => this.#answer(ask, value),
        (thrown) => this.#refuse(ask, thrown),
      );
    else this.#answer(ask, result);
  }

  #answer(ask: number, value: unknown): void {
    if (!this.#isClosed) this.#options.wire.send({ answer: ask, value: value ?? null });
  }

  #refuse(ask: number, thrown: unknown): void {
    if (this.#isClosed) return;
    const { code, message, hint, detail, sqlstate } = asOperatingError(thrown);
    this.#options.wire.send({ refused: ask, error: { code, message, hint, detail, sqlstate } });
  }

  #takeAsked(ask: number): Asked | undefined {
    const asked = this.#asked.get(ask);
    this.#asked.delete(ask);
    clearTimeout(asked?.timer);
    return asked;
  }

  #fault(raw: unknown, reason: string): void {
    const type =
      (raw as { message?: { type?: unknown } } | null)?.message?.type ?? (raw as Typed | null)?.type;
    this.#options.log.error({ type, reason }, 'a message between primary and worker could not be acted upon');
  }
}

function gone(what: string): OperatingError {
  return new OperatingError('not-ready', `${what}: the other process has gone`);
}

function defined(facts: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
