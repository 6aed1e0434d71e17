import { OperatingError } from '../lib/errors.js';
import type { ServerError, TransactionStatus } from '../pool/backend.js';
import { type AnswerKind, AnswerReader, type Part } from './answer-reader.js';
import { encodePacket, type PacketFramer, payloadOf } from './packets.js';
import { encodeErr, nameCollation, type PrepareOk, serverError, withoutMetadata } from './result-messages.js';
import { encodeTag, rowsTag } from './tag.js';

/** Who takes the packets of one exchange that are not our own affair. */
export interface Taker {
  /** Rows may be handed over in parts as they came. */
  readonly streamsRows: boolean;
  /** One packet or part of one, header too. */
  take(part: Part, buffer: Buffer, start: number, end: number): void;
  /** An answer that we give ourselves, or in place of the server's. */
  local(frame: Buffer): void;
  error(error: ServerError): void;
  /** Before the packet is taken. */
  tag(tag: string): void;
  /** Before the answer, or between its results: how far the statement has come. */
  progress?(frame: Buffer): void;
  /** The server waits for a file of the client's; undefined: nobody here has one. */
  copyIn?(): void;
  /** A session setting that status flags tell has changed. */
  parameter(name: string, value: string): void;
  /** Everything that one read from the socket brought has been taken. */
  pauseInReading(): void;
  end(status: TransactionStatus): void;
  broken(error: Error): void;
}

/** One command and what becomes of its answer. */
export interface Act {
  readonly kind: AnswerKind;
  /** The whole command; asked for when its turn to be sent has come. */
  write(): Buffer;
  /** Only to be sent when everything before it was answered without error: a server runs whatever it reads. */
  readonly waits: boolean;
  /** So many results at its beginning are our own affair; Infinity: all. Errors never are. */
  readonly own: number;
  /** Takes COM_STMT_PREPARE_OK; what it returns goes to the taker in its place. */
  onPrepared?(prepared: PrepareOk): Buffer | undefined;
  onFailed?(): void;
}

/** What the packet that was just taken changes for the connection. */
export interface Progress {
  /** Status flags, where the packet had them. */
  readonly status: number | undefined;
  /** The server's error, when it ends the exchange's acts. */
  readonly error: ServerError | undefined;
}

/** What the acts may do to the transaction, by their texts. */
export interface Effects {
  /** After an error the transaction may be another than the last flags said. */
  readonly isDoubtful: boolean;
  /** An XA transaction begins, or ends, when all goes well. */
  readonly beginsXa: boolean;
  readonly endsXa: boolean;
}

/** What the connection and its client have settled. */
export interface ExchangeOptions {
  /** The server was told that it may ask for files. */
  readonly allowsFiles?: boolean;
  /** The client has extended metadata in its definitions, the server has none. */
  readonly lacksMetadata?: boolean;
  /** What definitions of texts must name; undefined: as they come. */
  readonly collationId?: number | undefined;
  /** Each statement makes the server forget what earlier ones warned of. */
  readonly forgets?: boolean;
  readonly effects?: Effects;
  readonly making?: string | undefined;
}

const NO_EFFECTS: Effects = { isDoubtful: false, beginsXa: false, endsXa: false };
const NOTHING: Progress = { status: undefined, error: undefined };

/**
 * The acts of one request, in order, and their answers. Acts that wait for no answer are written together. An error is told once; acts
 * that were not sent yet are then dropped, and answers to those that were are nobody's.
 */
export class Exchange {
  /** Changes when nobody waits for the rest any more. */
  taker: Taker;
  hasFailed = false;
  /** The flags may be stale: an error's packet has none. */
  needsStatus = false;
  /** Number of the next packet of the file that the server waits for. */
  fileSequence: number | undefined;
  readonly effects: Effects;
  /** The statement that it makes for those who come later, by its key. */
  readonly making: string | undefined;
  readonly #acts: Act[];
  readonly #send: (command: Buffer) => void;
  readonly #allowsFiles: boolean;
  readonly #lacksMetadata: boolean;
  readonly #collationId: number | undefined;
  readonly #forgets: boolean;
  #sent = 0;
  #at = 0;
  #reader: AnswerReader;
  /** Results of the act in work that have ended. */
  #results = 0;

  constructor(
    acts: Act[],
    taker: Taker,
    send: (command: Buffer) => void,
    {
      allowsFiles = false,
      lacksMetadata = false,
      collationId,
      forgets = false,
      effects = NO_EFFECTS,
      making,
    }: ExchangeOptions = {},
  ) {
    this.#acts = acts;
    this.taker = taker;
    this.effects = effects;
    this.making = making;
    this.#send = send;
    this.#allowsFiles = allowsFiles;
    this.#lacksMetadata = lacksMetadata;
    this.#collationId = collationId;
    this.#forgets = forgets;
    this.#reader = new AnswerReader(acts[0]?.kind ?? 'status');
  }

  get isOver(): boolean {
    return this.#at >= this.#acts.length;
  }

  /** Nothing waits any more for an answer to be written. */
  get isWritten(): boolean {
    return this.#sent === this.#acts.length;
  }

  /** May the framer hand out parts of packets? */
  get streamsRows(): boolean {
    return this.#reader.isInRows && (this.taker.streamsRows || this.isOwn);
  }

  /** What comes now is not for the taker. */
  get isOwn(): boolean {
    const act = this.#acts[this.#at];
    return this.hasFailed || (act !== undefined && this.#results < act.own);
  }

  /** Sends what can be sent now. */
  advance(): void {
    while (this.#sent < this.#acts.length) {
      const act = this.#acts[this.#sent]!;
      if (act.waits && this.#sent > this.#at) return;
      this.#sent++;
      this.#send(act.write());
    }
  }

  /** One more act behind the last, whose answer is ours: asks for the status flags after an error. */
  ask(act: Act): void {
    this.#acts.push(act);
    this.#reader = new AnswerReader(act.kind);
    this.#results = 0;
    this.advance();
  }

  /** Takes the packet on which the framer stands. Throws `protocol-violation` when the server must not say it now. */
  take(framer: PacketFramer): Progress {
    const reader = this.#reader;
    const part = reader.read(framer);
    if (part === 'progress') {
      if (!this.isOwn) this.taker.progress?.(framer.buffer.subarray(framer.start, framer.end));
      return NOTHING;
    }
    this.fileSequence = undefined;
    if (part === 'error') return this.#failed(framer);
    if (part === 'file-request') return this.#askForFile(framer);
    if (part === 'prepared') this.#prepared(framer);
    else this.#pass(part, framer);
    const endsResult = part === 'ok' || part === 'eof';
    if (endsResult) this.#results++;
    const progress = endsResult ? { status: reader.status, error: undefined } : NOTHING;
    if (reader.isOver) this.#actEnds();
    return progress;
  }

  #pass(part: Part, framer: PacketFramer): void {
    if (this.isOwn) return;
    const reader = this.#reader;
    if (part === 'definition' && this.#collationId !== undefined)
      nameCollation(framer.buffer, framer.end, this.#collationId);
    if (part === 'ok') this.taker.tag(encodeTag(reader.ok!, this.#forgets));
    else if (part === 'eof') this.taker.tag(rowsTag(reader.rows, reader, this.#forgets));
    if (this.#lacksMetadata && (part === 'definition' || part === 'parameter')) {
      const definition = withoutMetadata(payloadOf(framer.buffer, framer.start, framer.end));
      const packet = encodePacket(definition, framer.sequence);
      this.taker.take(part, packet, 0, packet.length);
    } else this.taker.take(part, framer.buffer, framer.start, framer.end);
  }

  /** A server could ask for any file of the client's, at any time: only who has asked it to may be asked. */
  #askForFile(framer: PacketFramer): Progress {
    const { taker } = this;
    if (!this.#allowsFiles || this.isOwn || taker.copyIn === undefined)
      throw new OperatingError(
        'protocol-violation',
        'the server asked for a local file, which it does not get',
      );
    this.fileSequence = (framer.lastSequence + 1) & 0xff;
    taker.take('file-request', framer.buffer, framer.start, framer.end);
    taker.copyIn();
    return NOTHING;
  }

  #prepared(framer: PacketFramer): void {
    const act = this.#acts[this.#at]!;
    const replacement = act.onPrepared?.(this.#reader.prepared!);
    if (this.isOwn) return;
    if (replacement === undefined) this.taker.take('prepared', framer.buffer, framer.start, framer.end);
    else this.taker.local(replacement);
  }

  #failed(framer: PacketFramer): Progress {
    const frame = framer.buffer.subarray(framer.start, framer.end);
    const error = serverError(payloadOf(frame), frame);
    const isFirst = !this.hasFailed;
    this.#acts[this.#at]!.onFailed?.();
    if (isFirst && !error.isFatal) {
      this.hasFailed = true;
      this.needsStatus = true;
      this.taker.error(error);
      this.taker.take('error', framer.buffer, framer.start, framer.end);
      this.#acts.length = this.#sent;
    }
    this.#actEnds();
    return { status: undefined, error };
  }

  /** The act in work is answered. */
  #actEnds(): void {
    const act = this.#acts[this.#at]!;
    this.#at++;
    const results = this.#results;
    this.#results = 0;
    const next = this.#acts[this.#at];
    if (next === undefined) {
      if (!this.hasFailed && results > 0 && results === act.own) this.#emptyQuery();
      return;
    }
    this.#reader = new AnswerReader(next.kind);
    this.advance();
  }

  /** Statements of ours stood before a text that held none, so that the server had nothing to answer to it. */
  #emptyQuery(): void {
    const error = ownError(1065, '42000', 'Query was empty');
    this.taker.error(error);
    this.taker.local(error.frame);
  }
}

/** An error as the server would have said it. */
export function ownError(errno: number, sqlstate: string, message: string): ServerError {
  const frame = encodePacket(encodeErr({ errno, sqlstate, message }));
  return { errno, sqlstate, message, frame, isFatal: false };
}
