import { OperatingError } from '../lib/errors.js';
import { has, STATUS } from './capabilities.js';
import { EOF_BELOW_BYTES, FIRST_BYTE, type PacketFramer, payloadOf } from './packets.js';
import {
  decodeColumnCount,
  decodeEof,
  decodeOk,
  decodePrepareOk,
  type OkMessage,
  type PrepareOk,
} from './result-messages.js';

/** What a command is answered with: results, a prepared statement, or one OK or EOF. */
export type AnswerKind = 'results' | 'prepare' | 'status';

/** What a packet is in its answer. `ok` and `eof` end one result; `error` ends the answer. */
export type Part =
  | 'progress'
  | 'ok'
  | 'eof'
  | 'error'
  | 'columns'
  | 'parameter'
  | 'definition'
  | 'definitions-end'
  | 'row'
  | 'prepared'
  | 'file-request';

const PROGRESS_ERRNO = 0xffff;

type Phase = 'head' | 'parameters' | 'definitions' | 'rows';

/**
 * Reads the answer to one command by the packets' headers and first bytes (MySQL internals, "Text Protocol", "Prepared Statements"):
 *
 *     results  ([file request] OK | columns, definition × n, EOF, row × m, EOF) while SERVER_MORE_RESULTS_EXISTS
 *     prepare  prepared, [definition × parameters, EOF], [definition × columns, EOF]
 *     status   OK | EOF
 *
 * An ERR may stand anywhere and is the last. With MARIADB_CLIENT_PROGRESS an ERR with the number ffff may stand before it and is none: it says how
 * far the statement has come. Servers are told that we do not have DEPRECATE_EOF, so that this is the only form.
 */
export class AnswerReader {
  isOver = false;
  /** As the last OK or EOF had it. */
  status = 0;
  /** Of the result in work. */
  rows = 0;
  columns = 0;
  /** As the last EOF had it. */
  warnings = 0;
  /** The last OK, the last COM_STMT_PREPARE_OK. */
  ok: OkMessage | undefined;
  prepared: PrepareOk | undefined;
  readonly #kind: AnswerKind;
  #phase: Phase = 'head';
  #missing = 0;
  /** The rows that come now are the OUT parameters of a prepared CALL. */
  #isOutParameters = false;

  constructor(kind: AnswerKind) {
    this.#kind = kind;
  }

  get isInRows(): boolean {
    return this.#phase === 'rows';
  }

  /** What the packet is on which the framer stands. Throws `protocol-violation` when it does not belong there. */
  read(framer: PacketFramer): Part {
    if (framer.firstByte === FIRST_BYTE.error && framer.isFirst) {
      if (isProgress(framer)) return 'progress';
      this.isOver = true;
      return 'error';
    }
    switch (this.#phase) {
      case 'head':
        return this.#head(framer);
      case 'rows':
        return this.#row(framer);
      default:
        return this.#definition(framer);
    }
  }

  #head(framer: PacketFramer): Part {
    const { firstByte } = framer;
    if (firstByte === FIRST_BYTE.ok)
      return this.#kind === 'prepare' ? this.#prepared(framer) : this.#ok(framer);
    if (this.#kind === 'status' && isEof(framer)) return this.#eof(framer);
    if (this.#kind !== 'results' || firstByte === -1 || isEof(framer)) throw unexpected(firstByte);
    if (firstByte === FIRST_BYTE.localInfile) return 'file-request';
    this.columns = decodeColumnCount(payload(framer));
    this.rows = 0;
    this.#missing = this.columns;
    this.#phase = 'definitions';
    return 'columns';
  }

  #ok(framer: PacketFramer): Part {
    this.ok = decodeOk(payload(framer));
    this.#resultEnds(this.ok.status);
    return 'ok';
  }

  #prepared(framer: PacketFramer): Part {
    const prepared = decodePrepareOk(payload(framer));
    this.prepared = prepared;
    this.#missing = prepared.parameters;
    this.#phase = 'parameters';
    if (prepared.parameters === 0) this.#parametersEnd();
    return 'prepared';
  }

  #parametersEnd(): void {
    this.columns = this.prepared!.columns;
    this.#missing = this.columns;
    this.#phase = 'definitions';
    this.isOver = this.columns === 0;
  }

  #definition(framer: PacketFramer): Part {
    if (this.#missing > 0) {
      this.#missing--;
      return this.#phase === 'parameters' ? 'parameter' : 'definition';
    }
    if (!isEof(framer)) throw unexpected(framer.firstByte);
    if (this.#phase === 'parameters') this.#parametersEnd();
    else if (this.#kind === 'prepare') this.isOver = true;
    else {
      this.status = decodeEof(payload(framer)).status;
      this.#isOutParameters = has(this.status, STATUS.PS_OUT_PARAMS);
      this.#phase = 'rows';
    }
    return 'definitions-end';
  }

  #row(framer: PacketFramer): Part {
    if (framer.isFirst && isEof(framer)) return this.#eof(framer);
    if (framer.isLast) this.rows++;
    return 'row';
  }

  #eof(framer: PacketFramer): Part {
    const { status, warnings } = decodeEof(payload(framer));
    this.warnings = warnings;
    this.#resultEnds(status);
    // MySQL 8 does not say behind OUT parameters that the OK of their CALL is to come.
    if (this.#isOutParameters) this.isOver = false;
    this.#isOutParameters = false;
    return 'eof';
  }

  #resultEnds(status: number): void {
    this.status = status;
    this.#phase = 'head';
    this.isOver = !has(status, STATUS.MORE_RESULTS_EXISTS);
  }
}

function isProgress(framer: PacketFramer): boolean {
  return framer.payloadBytes > 2 && payload(framer).readUInt16LE(1) === PROGRESS_ERRNO;
}

function isEof(framer: PacketFramer): boolean {
  return framer.firstByte === FIRST_BYTE.eof && framer.payloadBytes < EOF_BELOW_BYTES;
}

function payload(framer: PacketFramer): Buffer {
  return payloadOf(framer.buffer, framer.start, framer.end);
}

function unexpected(firstByte: number): OperatingError {
  return new OperatingError(
    'protocol-violation',
    `the server sent a packet that begins with ${firstByte} and does not belong there`,
  );
}
