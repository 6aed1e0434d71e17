import { asError, OperatingError } from '../lib/errors.js';
import type { ShardAddress } from '../migration/engine.js';
import { EngineSession, type WireConnection, type WireRequest } from './engine-session.js';
import { formatLsn, type Lsn } from './lsn.js';

/** What the walsender tells. Calls come in log order. */
export interface ReplicationEvents {
  /** One pgoutput message; the bytes are ours to keep. */
  onChange(message: Buffer): void;
  /** Everything committed before `lsn` has been told. */
  onPassed(lsn: Lsn): void;
  /** The walsender wants to hear from us at once. */
  onReplyWanted(): void;
  /** The stream has ended, by the server or by the network. Comes once, unless we closed. */
  onEnd(error: Error): void;
}

const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const XLOG_DATA_HEADER_BYTES = 25;
const KEEPALIVE_BYTES = 18;
/** Microseconds between 1970 and 2000, the server's epoch. */
const EPOCH_MICROS = 946_684_800_000_000n;
const CLOSE_TIMEOUT_MS = 500;

/**
 * A running START_REPLICATION … LOGICAL: the walsender's frames in, status updates out (manual, section 55.4
 * "Streaming Replication Protocol"). Knows frames, not rows.
 */
export class Replication {
  readonly #session: EngineSession;
  readonly #events: ReplicationEvents;
  #phase: 'starting' | 'running' | 'closing' | 'ended' = 'starting';
  #ended: () => void = () => {};

  private constructor(session: EngineSession, events: ReplicationEvents) {
    this.#session = session;
    this.#events = events;
    session.onLost = (error) => this.#end(error);
  }

  /** Streams from `slot`; nothing that ends at or before `start` is sent again. */
  static async start(
    from: ShardAddress,
    stream: { slot: string; publication: string; start: Lsn },
    events: ReplicationEvents,
  ): Promise<Replication> {
    const session = await EngineSession.connect(from, { replication: true });
    const replication = new Replication(session, events);
    const options = `proto_version '1', publication_names '${stream.publication}', messages 'true'`;
    try {
      await replication.#begin(
        `START_REPLICATION SLOT ${stream.slot} LOGICAL ${formatLsn(stream.start)} (${options})`,
      );
    } catch (error) {
      replication.#phase = 'ended';
      await session.close();
      throw error;
    }
    return replication;
  }

  /** Tells what is durable on the other side, so that the server may forget its log up to there. `wantsReply`: asks how far the log has been told. */
  sendStatus(durable: Lsn, wantsReply: boolean): void {
    if (this.#phase !== 'running') return;
    const frame = Buffer.allocUnsafe(39);
    frame.writeUInt8(COPY_DATA, 0);
    frame.writeInt32BE(38, 1);
    frame.write('r', 5, 'latin1');
    for (const offset of [6, 14, 22]) frame.writeBigUInt64BE(durable, offset);
    frame.writeBigInt64BE(BigInt(Date.now()) * 1000n - EPOCH_MICROS, 30);
    frame.writeUInt8(wantsReply ? 1 : 0, 38);
    this.#session.stream.write(frame);
  }

  pause(): void {
    this.#session.stream.pause();
  }

  resume(): void {
    this.#session.stream.resume();
  }

  /** Ends politely, so that the slot is free again when it resolves; at once when the server does not answer. */
  async close(): Promise<void> {
    if (this.#phase === 'running') {
      this.#phase = 'closing';
      const ended = new Promise<void>((resolve) => {
        this.#ended = resolve;
        setTimeout(resolve, CLOSE_TIMEOUT_MS).unref();
      });
      this.resume();
      this.#session.stream.write(Buffer.from([COPY_DONE, 0, 0, 0, 4]));
      await ended;
    }
    this.#phase = 'ended';
    await this.#session.close();
  }

  #begin(command: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const request: WireRequest = {
        submit: (connection: WireConnection & { once?(event: string, listener: () => void): void }) => {
          // CopyBothResponse: the server has accepted; what follows is the stream.
          connection.once?.('replicationStart', () => {
            if (this.#phase === 'starting') this.#phase = 'running';
            resolve();
          });
          connection.query(command);
        },
        handleCopyData: (message) => this.#receive(message.chunk),
        handleError: (error) => {
          reject(error);
          this.#end(error);
        },
        handleReadyForQuery: () => this.#end(new Error('the server ended the stream')),
        handleCommandComplete: () => {},
        handleRowDescription: () => {},
        handleDataRow: () => {},
        handlePortalSuspended: () => {},
        handleEmptyQuery: () => {},
        handleCopyInResponse: () => {},
      };
      this.#session.submit(request);
    });
  }

  #receive(frame: Buffer): void {
    if (this.#phase !== 'running') return;
    try {
      this.#dispatch(frame);
    } catch (error) {
      this.#end(asError(error));
      this.#session.destroy();
    }
  }

  #dispatch(frame: Buffer): void {
    if (frame[0] === XLOG_DATA && frame.length >= XLOG_DATA_HEADER_BYTES) {
      // A copy, because pg uses its buffer again and the rows outlive this turn.
      this.#events.onChange(Buffer.from(frame.subarray(XLOG_DATA_HEADER_BYTES)));
    } else if (frame[0] === KEEPALIVE && frame.length === KEEPALIVE_BYTES) {
      this.#events.onPassed(frame.readBigUInt64BE(1));
      if (frame[17] === 1) this.#events.onReplyWanted();
    } else {
      throw new OperatingError(
        'protocol-violation',
        `change stream: a frame of ${frame.length} bytes that is neither data nor keepalive`,
      );
    }
  }

  #end(error: Error): void {
    this.#ended();
    const wasRunning = this.#phase === 'running';
    if (this.#phase !== 'closing') this.#phase = 'ended';
    if (wasRunning) this.#events.onEnd(error);
  }
}
