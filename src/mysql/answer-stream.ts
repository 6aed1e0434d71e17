import type { TransactionStatus } from '../pool/backend.js';
import { STATUS } from './capabilities.js';
import { EOF_BELOW_BYTES, encodePacket, FIRST_BYTE, HEADER_BYTES, MAX_PAYLOAD_BYTES } from './packets.js';
import {
  decodeColumnCount,
  decodeEof,
  decodeOk,
  decodePrepareOk,
  encodeOk,
  type PrepareOk,
} from './result-messages.js';
import { encodeStateChanges, type StateChange } from './session-track.js';
import { NULL_MARK, Reader } from './wire.js';

/** A packet that is looked at is small; a longer one is none of those that we look for. */
const MAX_CAUGHT_BYTES = 64 * 1024;
/** Flags that a client keeps from one answer to the next. */
const LASTING = STATUS.AUTOCOMMIT | STATUS.IN_TRANS | STATUS.IN_TRANS_READONLY | STATUS.NO_BACKSLASH_ESCAPES;
/** Where the status flags are in an EOF, and the statement's id in a COM_STMT_PREPARE_OK, behind the header. */
const EOF_STATUS_AT = HEADER_BYTES + 3;
const PREPARE_ID_AT = HEADER_BYTES + 1;
const DEFINITIONS_FOLLOW = Buffer.of(1);
const NO_DEFAULT = Buffer.of(NULL_MARK);

/** The prepare that is being answered. */
export interface Preparation {
  /** The id that the client shall know. */
  readonly statementId: number;
  /** Told once; undefined: the server refused it. */
  readonly onAnswer: (answer: PrepareOk | undefined) => void;
}

/** How a client has asked to be answered, where that is not the form in which servers answer us. */
export interface AnswerForm {
  /** DEPRECATE_EOF: no EOF behind definitions; behind rows an OK that begins with fe. */
  readonly deprecatesEof: boolean;
  /** SESSION_TRACK: an OK tells what the statement has changed in the session. */
  readonly tracksSession: boolean;
  /** MARIADB_CLIENT_CACHE_METADATA: the column count says whether definitions follow, which they always do here. */
  readonly marksDefinitions: boolean;
}

export const PLAIN_FORM: AnswerForm = { deprecatesEof: false, tracksSession: false, marksDefinitions: false };

/** What is known of an answer before it comes. */
export interface ComingAnswer {
  readonly preparation?: Preparation | undefined;
  /** What the statement changes in the session when it ends well. */
  readonly changes?: readonly StateChange[] | undefined;
  /** Its packets have no head: a login's. */
  readonly isHeadless?: boolean | undefined;
  /** What comes is an empty result; it goes as the answer to COM_FIELD_LIST. */
  readonly listsFields?: boolean | undefined;
}

/** What the next packet is caught for: it is collected whole and looked at. */
type Catching = 'nothing' | 'prepare' | 'ending' | 'head' | 'field' | 'definitions-end';

/**
 * The packets to one client, in the order they go: numbers them, and keeps the packet that ends a statement's answer until it is known
 * what its flags must say (whether another result follows, and how the transaction stands). Bytes come in pieces cut anywhere, and in the
 * form of servers without DEPRECATE_EOF and SESSION_TRACK; they go in the form that the client has asked for.
 */
export class AnswerStream {
  readonly #write: (chunk: Buffer) => boolean;
  readonly #form: AnswerForm;
  /** Of the next packet. */
  #sequence = 0;
  /** Bytes of the header in work, and the length that it says so far. */
  #headerBytes = 0;
  #length = 0;
  /** Bytes of the part in work that are to come. */
  #left = 0;
  #goesOn = false;
  #catching: Catching = 'nothing';
  /** Definitions that come now, each group with an EOF behind it; the first is in work. */
  #definitions: number[] = [];
  #changes: readonly StateChange[] = [];
  #isHeadless = true;
  #listsFields = false;
  #caught: Buffer = Buffer.alloc(0);
  #held: Buffer | undefined;
  #preparation: Preparation | undefined;
  #flags: number = STATUS.AUTOCOMMIT;
  #isFlowing = true;

  constructor(write: (chunk: Buffer) => boolean, form: AnswerForm = PLAIN_FORM) {
    this.#write = write;
    this.#form = form;
  }

  /** The lasting status flags, as the client was told them last. */
  get flags(): number {
    return this.#flags;
  }

  /** Number of the next packet. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Only a part of a packet has gone: nothing else can be said to this client any more. */
  get isInsidePacket(): boolean {
    return this.#left > 0 || this.#headerBytes > 0 || this.#goesOn || this.#caught.length > 0;
  }

  /** The answer to a command begins. `sequence`: behind the command's own. */
  begin(sequence: number, coming: ComingAnswer = {}): void {
    const { preparation, changes = [], isHeadless = false, listsFields = false } = coming;
    this.#sequence = sequence & 0xff;
    this.#preparation = preparation;
    this.#changes = changes;
    this.#listsFields = listsFields;
    const { deprecatesEof, marksDefinitions } = this.#form;
    this.#isHeadless = isHeadless || !(deprecatesEof || marksDefinitions || listsFields);
    this.#definitions = [];
    this.#catching = preparation === undefined ? this.#atHead : 'prepare';
  }

  /** The client has spoken in the middle of its answer, which goes on with this number. */
  goOn(sequence: number): void {
    this.#sequence = sequence & 0xff;
  }

  /** The next packet ends a statement's answer. */
  completes(): void {
    if (this.#catching !== 'prepare') this.#catching = 'ending';
  }

  /** The chunk is left as it is; what must be written into it is written into a copy. */
  send(chunk: Buffer): boolean {
    this.#isFlowing = true;
    for (let at = 0; at < chunk.length; ) {
      if (this.#held !== undefined) {
        this.#isFlowing = this.#release(STATUS.MORE_RESULTS_EXISTS);
        if (this.#catching === 'nothing') this.#catching = this.#atHead;
      }
      if (this.#catching !== 'nothing') at = this.#catch(chunk, at);
      else at += this.#pass(at === 0 ? chunk : chunk.subarray(at));
    }
    return this.#isFlowing;
  }

  /** A whole packet that stands before the answer or between its results, and is not looked at. The frame is left as it is. */
  progress(frame: Buffer): void {
    if (this.#held !== undefined) {
      this.#release(STATUS.MORE_RESULTS_EXISTS);
      if (this.#catching === 'nothing') this.#catching = this.#atHead;
    }
    if (!this.isInsidePacket) this.#writeNumbered(Buffer.from(frame));
  }

  get #atHead(): Catching {
    return this.#isHeadless ? 'nothing' : 'head';
  }

  /** The command is answered: the packet that was kept goes. `autocommit` undefined: as that packet says it. */
  ready(status: TransactionStatus, autocommit: boolean | undefined): boolean {
    let isFlowing = true;
    const set = (status === 'idle' ? 0 : STATUS.IN_TRANS) | (autocommit === true ? STATUS.AUTOCOMMIT : 0);
    const clear =
      STATUS.MORE_RESULTS_EXISTS |
      (status === 'idle' ? STATUS.IN_TRANS | STATUS.IN_TRANS_READONLY : 0) |
      (autocommit === false ? STATUS.AUTOCOMMIT : 0);
    if (this.#held === undefined) this.#flags = (this.#flags & ~clear) | set;
    else isFlowing = this.#release(set, clear);
    this.#catching = 'nothing';
    this.#answerPreparation(undefined);
    return isFlowing;
  }

  /** Sends the kept packet. */
  #release(set: number, clear = 0): boolean {
    const packet = this.#held!;
    this.#held = undefined;
    const at = statusAt(packet);
    if (at === undefined) return this.#write(packet);
    const before = this.#flags;
    // Servers may set it also for those who do not have SESSION_TRACK, and then tell nothing.
    const flags = (packet.readUInt16LE(at) & ~clear & ~STATUS.SESSION_STATE_CHANGED) | set;
    packet.writeUInt16LE(flags, at);
    this.#flags = flags & LASTING;
    return this.#write(this.#withChanges(packet, before));
  }

  /** An OK tells the client what it has changed, where the client listens. */
  #withChanges(packet: Buffer, before: number): Buffer {
    if (!this.#form.tracksSession || packet[HEADER_BYTES] !== FIRST_BYTE.ok) return packet;
    const changes = [...this.#changes];
    this.#changes = [];
    if (((before ^ this.#flags) & STATUS.AUTOCOMMIT) !== 0)
      changes.push({ name: 'autocommit', value: (this.#flags & STATUS.AUTOCOMMIT) === 0 ? 'OFF' : 'ON' });
    if (changes.length === 0) return packet;
    const sessionState = encodeStateChanges(changes);
    return encodePacket(encodeOk({ ...decodeOk(packet.subarray(HEADER_BYTES)), sessionState }), packet[3]);
  }

  /** Collects one whole packet; returns how far the chunk is used. */
  #catch(chunk: Buffer, at: number): number {
    const { length: have } = this.#caught;
    const wanted = have < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + this.#caught.readUIntLE(0, 3);
    const piece = chunk.subarray(at, at + wanted - have);
    const caught = (this.#caught = Buffer.concat([this.#caught, piece]));
    const end = at + piece.length;
    if (caught.length < HEADER_BYTES) return end;
    const length = caught.readUIntLE(0, 3);
    if (length <= MAX_CAUGHT_BYTES && caught.length < HEADER_BYTES + length) return end;
    this.#caught = Buffer.alloc(0);
    const wasCatching = this.#catching;
    this.#catching = 'nothing';
    if (length > MAX_CAUGHT_BYTES) {
      this.#pass(caught);
      return end;
    }
    this.#caughtWhole(caught, wasCatching);
    return end;
  }

  #caughtWhole(packet: Buffer, wasCatching: Catching): void {
    if (wasCatching === 'definitions-end' && packet[HEADER_BYTES] === FIRST_BYTE.eof) {
      this.#definitions.shift();
      if (!this.#form.deprecatesEof && !this.#listsFields) this.#writeNumbered(packet);
      return;
    }
    if (wasCatching === 'ending') {
      packet[3] = this.#nextSequence();
      this.#held = this.#ending(packet);
    } else if (wasCatching === 'prepare') this.#prepareAnswered(packet);
    else if (wasCatching === 'field') this.#fieldListed(packet);
    else if (wasCatching === 'head' && isColumnCount(packet)) this.#columnsCounted(packet);
    else this.#writeNumbered(packet);
  }

  #writeNumbered(packet: Buffer): void {
    packet[3] = this.#nextSequence();
    this.#isFlowing = this.#write(packet);
  }

  #columnsCounted(packet: Buffer): void {
    const payload = packet.subarray(HEADER_BYTES);
    if (this.#listsFields) {
      this.#definitions = [decodeColumnCount(payload)];
      this.#catching = 'field';
      return;
    }
    if (this.#form.deprecatesEof) this.#definitions = [decodeColumnCount(payload)];
    this.#writeNumbered(
      this.#form.marksDefinitions ? encodePacket(Buffer.concat([payload, DEFINITIONS_FOLLOW])) : packet,
    );
  }

  /** A definition; COM_FIELD_LIST has the default value behind it, which a result does not tell. */
  #fieldListed(packet: Buffer): void {
    this.#writeNumbered(encodePacket(Buffer.concat([packet.subarray(HEADER_BYTES), NO_DEFAULT])));
    if (!this.#definitionEnds()) this.#catching = 'field';
  }

  /** What ends a statement's answer, in the client's form. */
  #ending(packet: Buffer): Buffer {
    if (!this.#form.deprecatesEof || packet[HEADER_BYTES] !== FIRST_BYTE.eof) return packet;
    return encodePacket(encodeOk(decodeEof(packet.subarray(HEADER_BYTES)), FIRST_BYTE.eof), packet[3]);
  }

  #prepareAnswered(packet: Buffer): void {
    const isOk = packet[HEADER_BYTES] === FIRST_BYTE.ok;
    if (isOk) packet.writeUInt32LE(this.#preparation!.statementId, PREPARE_ID_AT);
    const answer = isOk ? decodePrepareOk(packet.subarray(HEADER_BYTES)) : undefined;
    this.#answerPreparation(answer);
    if (this.#form.deprecatesEof && answer !== undefined)
      this.#definitions = [answer.parameters, answer.columns].filter((count) => count > 0);
    this.#writeNumbered(packet);
  }

  #answerPreparation(answer: PrepareOk | undefined): void {
    const preparation = this.#preparation;
    this.#preparation = undefined;
    preparation?.onAnswer(answer);
  }

  /** Walks from header to header, at most to the end of the definitions in work; returns how far. */
  #pass(chunk: Buffer): number {
    let written = chunk;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const length = Math.min(this.#left, chunk.length - at);
        this.#left -= length;
        at += length;
      } else if (this.#headerBytes < 3) {
        this.#length |= chunk[at++]! << (8 * this.#headerBytes++);
      } else {
        const sequence = this.#nextSequence();
        if (written[at] !== sequence) {
          if (written === chunk) written = Buffer.from(chunk);
          written[at] = sequence;
        }
        at++;
        this.#left = this.#length;
        this.#goesOn = this.#length === MAX_PAYLOAD_BYTES;
        this.#headerBytes = 0;
        this.#length = 0;
      }
      const isBetween = this.#left === 0 && this.#headerBytes === 0 && !this.#goesOn;
      if (isBetween && this.#definitions.length > 0 && this.#definitionEnds()) break;
    }
    this.#isFlowing = this.#write(at === chunk.length ? written : written.subarray(0, at));
    return at;
  }

  /** True: it was the last of its group, and an EOF follows. */
  #definitionEnds(): boolean {
    this.#definitions[0]!--;
    if (this.#definitions[0] !== 0) return false;
    this.#catching = 'definitions-end';
    return true;
  }

  #nextSequence(): number {
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) & 0xff;
    return sequence;
  }
}

/** Else it is an OK, an ERR or a request for a local file. */
function isColumnCount(packet: Buffer): boolean {
  const first = packet[HEADER_BYTES];
  return (
    packet.length > HEADER_BYTES &&
    first !== FIRST_BYTE.ok &&
    first !== FIRST_BYTE.error &&
    first !== FIRST_BYTE.localInfile
  );
}

/** Where the flags are in an OK or EOF packet; undefined for all others (ERR, the text of COM_STATISTICS). */
function statusAt(packet: Buffer): number | undefined {
  const payloadBytes = packet.length - HEADER_BYTES;
  const first = packet[HEADER_BYTES];
  if (first === FIRST_BYTE.eof && payloadBytes >= 5 && payloadBytes < EOF_BELOW_BYTES) return EOF_STATUS_AT;
  if (first !== FIRST_BYTE.ok || payloadBytes < 7) return undefined;
  const reader = new Reader(packet, 'OK', HEADER_BYTES + 1);
  reader.lenenc();
  reader.lenenc();
  return reader.remaining < 4 ? undefined : reader.offset;
}
