import type { Socket } from 'node:net';
import { asOperatingError, OperatingError } from '../lib/errors.js';
import { Outbox } from '../lib/outbox.js';
import { readChunks } from '../lib/read-chunks.js';
import type { TransactionStatus } from '../pool/backend.js';
import type { Request } from '../pool/request.js';
import type { CancelKey } from '../proxy/cancel.js';
import type { ClientIdentity, Frontend, FrontendEvents } from '../proxy/frontend.js';
import { AnswerStream } from './answer-stream.js';
import { MysqlAnswers } from './answers.js';
import { has, STATUS, UTF8MB4_GENERAL_CI } from './capabilities.js';
import { ClientFile } from './client-file.js';
import { ClientPackets } from './client-packets.js';
import { ClientStatements } from './client-statements.js';
import { type ClientAct, decodeCommand, failure, type RequestAct } from './client-steps.js';
import { Compressor } from './compression.js';
import type { FrontendOptions } from './frontend-options.js';
import { type OwedAnswer, OwedAnswers } from './owed-answers.js';
import { encodePacket, HEADER_BYTES, payloadOf } from './packets.js';
import { encodeOk, type PrepareOk } from './result-messages.js';
import { UserChange } from './user-change.js';

/** How long a client that was told goodbye may take to close; its unread bytes must not turn our last message into a reset. */
const LINGER_MS = 3_000;
/** A command has number 0, what answers it goes on from there. */
const FIRST_ANSWER = 1;

/**
 * Talks to one authenticated client: makes its commands requests, and sends their answers in order, once per turn of the event loop.
 */
export class MysqlFrontend implements Frontend {
  identity: ClientIdentity;
  readonly isEncrypted: boolean;
  readonly announcedKey: CancelKey;
  allowsSeveralStatements: boolean;
  readonly answers: MysqlAnswers;
  onReentry: (() => void) | undefined;
  readonly #socket: Socket;
  readonly #options: FrontendOptions;
  readonly #outbox: Outbox;
  readonly #stream: AnswerStream;
  readonly #packets: ClientPackets;
  readonly #statements: ClientStatements;
  readonly #owed = new OwedAnswers((next) => this.#beginAnswer(next));
  readonly #file = new ClientFile();
  #compressor: Compressor | undefined;
  #events: FrontendEvents | undefined;
  #isPaused = false;
  #isReading = false;
  /** A packet that can only be read when everything before it is answered. */
  #postponed: Buffer | undefined;
  /** From COM_CHANGE_USER to its end. */
  #changing: UserChange | undefined;
  /** `ending`: we have said goodbye; what still comes is not looked at. */
  #phase: 'open' | 'ending' | 'closed' = 'open';

  constructor(socket: Socket, identity: ClientIdentity, options: FrontendOptions) {
    this.#socket = socket;
    this.identity = identity;
    this.#options = options;
    this.isEncrypted = options.isEncrypted;
    this.announcedKey = options.announcedKey;
    this.allowsSeveralStatements = options.allowsSeveralStatements;
    this.#outbox = new Outbox(socket);
    this.#outbox.onDrain = () => this.#events?.onDrain();
    this.#stream = new AnswerStream(
      (chunk) => this.#compressor?.write(chunk) ?? this.#outbox.send(chunk),
      options.answerForm,
    );
    this.answers = new MysqlAnswers(() => this.#stream.flags, {
      collationId: () => Number(this.identity.startup.get('collation_id') ?? UTF8MB4_GENERAL_CI),
      hasExtendedMetadata: options.hasExtendedMetadata,
    });
    this.#packets = new ClientPackets(options.maxPacketBytes, options.isCompressed);
    this.#statements = new ClientStatements(options.maxPacketBytes);
    this.#owed.owe({ sequence: options.sequence, coming: { isHeadless: true } });
    readChunks(socket, (chunk) => this.#received(chunk));
    socket.pause();
    socket.on('end', () => this.#closed('lost'));
    socket.on('close', () => this.#closed('lost'));
  }

  /** The OK that ends the login; compression begins behind it. */
  welcome(): void {
    this.send(encodePacket(encodeOk({ status: STATUS.AUTOCOMMIT })));
    this.sendReady('idle');
    if (this.#options.isCompressed)
      this.#compressor ??= new Compressor((packet) => this.#outbox.send(packet));
  }

  get remoteAddress(): string {
    return `${this.#socket.remoteAddress ?? 'unknown'}:${this.#socket.remotePort ?? 0}`;
  }

  get localAddress(): string {
    return this.#socket.localAddress ?? '';
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  get receivedBytes(): number {
    return this.#socket.bytesRead;
  }

  get sentBytes(): number {
    return this.#socket.bytesWritten;
  }

  attach(events: FrontendEvents): void {
    this.#events = events;
    if (this.#socket.destroyed || this.#phase === 'closed') {
      events.onClose('lost');
      return;
    }
    this.#read();
    if (!this.#isPaused) this.#socket.resume();
  }

  send(chunk: Buffer): boolean {
    if (this.#phase !== 'open' || chunk.length === 0 || this.#owed.isSilent) return true;
    const kept = this.#file.isComing ? Buffer.from(chunk) : undefined;
    if (kept !== undefined) return this.#afterFile(() => this.send(kept));
    return this.#stream.send(chunk);
  }

  sendError(error: OperatingError): boolean {
    // Nothing can be said in the middle of a packet: the client would take it for the packet's bytes.
    if (this.#stream.isInsidePacket) this.#socket.destroy();
    return this.send(this.answers.error(error));
  }

  completes(): void {
    if (this.#afterFile(() => this.completes())) return;
    this.#stream.completes();
  }

  /** The packet that asks for the client's file has been sent. Whoever is asked cannot have sent another command: its bytes would be the file's. */
  beginCopy(): void {
    this.#compressor?.flush();
    this.#file.begin();
    if (this.#owed.length > 1 || this.#postponed !== undefined)
      this.#violated(new OperatingError('protocol-violation', 'Got packets out of order'));
  }

  progress(frame: Buffer): void {
    if (!this.#options.hearsProgress || this.#phase !== 'open' || this.#file.isComing) return;
    this.#stream.progress(frame);
    this.#compressor?.flush();
  }

  /** True: the answer will be given when the client's file has come, which nobody else holds up any more. */
  #afterFile(answer: () => void): boolean {
    const isKept = this.#file.keeps(answer);
    if (isKept) this.resume();
    return isKept;
  }

  sendReady(status: TransactionStatus, autocommit?: boolean): boolean {
    if (this.#afterFile(() => this.sendReady(status, autocommit))) return true;
    const owed = this.#owed.take();
    if (owed === undefined) return true;
    const toldBefore = owed.isOwn === true ? has(this.#stream.flags, STATUS.AUTOCOMMIT) : undefined;
    const isFlowing = owed.isSilent === true || this.#stream.ready(status, autocommit ?? toldBefore);
    this.answers.begin();
    this.#compressor?.flush();
    owed.onAnswered?.();
    this.#owed.beginNext();
    this.#read();
    return isFlowing;
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#read();
    if (!this.#isPaused && this.#events !== undefined) this.#socket.resume();
  }

  end(error?: OperatingError): void {
    if (this.#phase !== 'open') return;
    if (error !== undefined && !this.#stream.isInsidePacket) {
      if (this.#owed.length === 0 && this.#changing === undefined) this.#stream.begin(FIRST_ANSWER);
      this.#stream.send(this.answers.error(error));
      this.#stream.ready('idle', undefined);
    }
    this.#phase = 'ending';
    this.#compressor?.flush();
    this.#outbox.flush();
    this.#socket.end();
    // Read and thrown away, so that the client's own goodbye is seen.
    this.#socket.resume();
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    linger.unref();
    this.#socket.once('close', () => clearTimeout(linger));
  }

  #beginAnswer({ sequence, coming }: OwedAnswer): void {
    this.#compressor?.begin(this.#packets.compressedSequence + 1);
    this.#stream.begin(sequence, coming);
  }

  #received(chunk: Buffer): void {
    if (this.#phase !== 'open') return;
    this.#packets.push(chunk);
    this.#read();
  }

  #read(): void {
    // A listener that pauses and resumes inside a call must not start a second loop.
    if (this.#isReading || this.#events === undefined) return;
    this.#isReading = true;
    try {
      while (!this.#isPaused && this.#phase === 'open') if (!this.#readOne()) break;
    } catch (thrown) {
      this.#violated(asOperatingError(thrown));
    } finally {
      this.#isReading = false;
    }
  }

  /** False: nothing more can be read now. */
  #readOne(): boolean {
    if (this.#postponed !== undefined) {
      if (this.#owed.length > 0) return false;
      const frame = this.#postponed;
      this.#postponed = undefined;
      this.#command(frame);
      return true;
    }
    if (this.#changing?.takesProof === false) return false;
    const isFile = this.#file.isComing;
    const frame = this.#packets.next(this.#changing === undefined && !isFile);
    if (frame === undefined) return false;
    if (isFile) this.#fileCame(frame);
    else if (this.#changing === undefined) this.#command(frame);
    else this.#changing.proofCame(payloadOf(frame));
    return true;
  }

  #command(frame: Buffer): void {
    const payload = payloadOf(frame);
    const act = this.#decode(frame, payload);
    switch (act.type) {
      case 'request':
        this.#request(act, frame.length);
        return;
      case 'own':
        this.#own(act, frame.length);
        return;
      case 'wait':
        this.#postponed = frame;
        return;
      case 'change-user':
        if (this.#owed.length > 0) this.#postponed = frame;
        else this.#changeUser(payload);
        return;
      case 'quit':
        this.#closed('terminated');
        this.#socket.end();
        return;
      default:
        return;
    }
  }

  #fileCame(frame: Buffer): void {
    const isEnd = frame.length === HEADER_BYTES;
    this.#events?.onCopy(frame, isEnd ? 'done' : 'data');
    if (!isEnd) return;
    this.#compressor?.begin(this.#packets.compressedSequence + 1);
    this.#stream.goOn(this.#packets.sequence + 1);
    this.#file.end();
  }

  /** What is wrong with a command is its answer; what can be no command ends the connection. */
  #decode(frame: Buffer, payload: Buffer): ClientAct {
    const context = {
      statements: this.#statements,
      ids: this.#options.statementIds,
      flags: this.#stream.flags,
      saysAttributes: this.#options.saysAttributes,
      executesBulk: this.#options.executesBulk,
    };
    try {
      return decodeCommand(frame, payload, context);
    } catch (thrown) {
      const error = asOperatingError(thrown);
      if (error.code === 'protocol-violation' || error.code === 'limit-exceeded') throw error;
      return failure(error);
    }
  }

  #request(act: RequestAct, byteLength: number): void {
    const { prepares, changes, listsFields } = act;
    const preparation = prepares && {
      statementId: prepares.id,
      onAnswer: (answer: PrepareOk | undefined) => this.#statements.prepared(prepares, answer),
    };
    this.#owed.owe({
      sequence: this.#packets.sequence + 1,
      isSilent: act.isSilent === true,
      coming: { preparation, changes, listsFields },
    });
    this.#tell({ steps: act.steps, end: act.end, byteLength });
  }

  #own(act: Extract<ClientAct, { type: 'own' }>, byteLength: number): void {
    const { allowsSeveralStatements } = act;
    this.#owed.owe({
      sequence: this.#packets.sequence + 1,
      isOwn: true,
      onAnswered: () => {
        if (allowsSeveralStatements !== undefined) this.allowsSeveralStatements = allowsSeveralStatements;
      },
    });
    this.#tell({ steps: [], end: 'own', own: encodePacket(act.payload), byteLength });
  }

  #tell(request: Request): void {
    this.#events?.onRequest(request);
  }

  /** Nothing is owed now. The client proves who it is; then its session is as new. */
  #changeUser(payload: Buffer): void {
    this.#changing = new UserChange({
      begin: () => {
        this.#compressor?.begin(this.#packets.compressedSequence + 1);
        this.#stream.begin(this.#packets.sequence + 1, { isHeadless: true });
      },
      send: (bytes) => {
        this.#stream.send(encodePacket(bytes));
        this.#compressor?.flush();
      },
      read: () => this.#read(),
      giveUp: () => this.#socket.destroy(),
    });
    this.#changing
      .prove(payload, this.#options)
      .then((identity) => this.#changed(identity))
      .catch((thrown) => this.#violated(asOperatingError(thrown)));
  }

  /** The old session ends, also when the client is who it was; its next commands wait for the new one. */
  #changed(identity: ClientIdentity): void {
    this.#changing = undefined;
    if (this.#phase !== 'open') return;
    this.#statements.clear();
    this.#owed.owe({ sequence: this.#stream.sequence, coming: { isHeadless: true } });
    const old = this.#events;
    this.#events = undefined;
    this.#socket.pause();
    this.identity = identity;
    old?.onClose('lost');
    this.onReentry?.();
  }

  #violated(error: OperatingError): void {
    this.end(error);
    this.#closed('protocol-violation');
  }

  #closed(reason: 'terminated' | 'lost' | 'protocol-violation'): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#events?.onClose(reason);
  }
}
