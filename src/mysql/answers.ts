import type { OperatingError } from '../lib/errors.js';
import type { ResultColumn, RowFields, StatementDescription } from '../pool/backend.js';
import type { Answers } from '../proxy/frontend.js';
import {
  BINARY_COLLATION,
  characterSetOf,
  FIELD_FLAG,
  FIELD_TYPE,
  UTF8MB4_GENERAL_CI,
} from './capabilities.js';
import { ERRNO, errOf, sqlstateOf } from './error-codes.js';
import { encodePacket } from './packets.js';
import {
  encodeBinaryRow,
  encodeColumn,
  encodeColumnCount,
  encodeEof,
  encodeErr,
  encodeOk,
  encodePrepareOk,
  encodeTextRow,
} from './result-messages.js';
import { decodeTag } from './tag.js';

const NOTHING = Buffer.alloc(0);
const BINARY_FORMAT = 1;
/** Far below what servers take at most (max_allowed_packet, 16 MiB by default). */
const FILE_PACKET_BYTES = 128 * 1024;

/** What a login has settled for the definitions of our own columns. */
export interface AnswerLogin {
  readonly collationId: () => number;
  readonly hasExtendedMetadata: boolean;
}

const PLAIN_LOGIN: AnswerLogin = { collationId: () => UTF8MB4_GENERAL_CI, hasExtendedMetadata: false };

/**
 * The answers that the proxy makes itself, as whole packets without numbers. Remembers between the columns of a result and its end how rows
 * are written and that an EOF ends them.
 */
export class MysqlAnswers implements Answers {
  readonly describesEveryResult = true;
  readonly #flags: () => number;
  readonly #login: AnswerLogin;
  /** Of the result whose rows come now. */
  #columns: readonly ResultColumn[] | undefined;
  #isBinary = false;

  /** `flags`: the status flags of answers. */
  constructor(flags: () => number, login: AnswerLogin = PLAIN_LOGIN) {
    this.#flags = flags;
    this.#login = login;
  }

  /** Another command is answered: no rows are on the way. */
  begin(): void {
    this.#columns = undefined;
  }

  parseComplete(): Buffer {
    return NOTHING;
  }

  bindComplete(): Buffer {
    return NOTHING;
  }

  closeComplete(): Buffer {
    return NOTHING;
  }

  noData(): Buffer {
    return NOTHING;
  }

  portalSuspended(): Buffer {
    return NOTHING;
  }

  emptyQuery(): Buffer {
    const errno = ERRNO.emptyQuery;
    return encodePacket(encodeErr({ errno, sqlstate: sqlstateOf(errno), message: 'Query was empty' }));
  }

  /** An EOF behind rows, else an OK. */
  commandComplete(tag: string): Buffer {
    const ending = decodeTag(tag);
    const isBehindRows = this.#columns !== undefined;
    this.#columns = undefined;
    if (isBehindRows) return encodePacket(encodeEof(this.#flags(), ending.warnings));
    return encodePacket(encodeOk({ ...ending, status: this.#flags() }));
  }

  describedStatement(name: string, { parameterTypes, columns = [] }: StatementDescription): Buffer {
    const head = encodePrepareOk({
      statementId: Number(name),
      columns: columns.length,
      parameters: parameterTypes.length,
      warnings: 0,
    });
    const packets = [encodePacket(head)];
    const define = (definitions: readonly Buffer[]) => {
      if (definitions.length === 0) return;
      packets.push(...definitions.map((definition) => encodePacket(definition)), this.#eof());
    };
    define(parameterTypes.map((type) => parameterDefinition(type, this.#login.hasExtendedMetadata)));
    define(columns.map((column) => this.#definitionOf(column)));
    return Buffer.concat(packets);
  }

  rowDescription(columns: readonly ResultColumn[], formats: readonly number[]): Buffer {
    this.#columns = columns;
    this.#isBinary = formats[0] === BINARY_FORMAT;
    return Buffer.concat([
      encodePacket(encodeColumnCount(columns.length)),
      ...columns.map((column) => encodePacket(this.#definitionOf(column))),
      this.#eof(),
    ]);
  }

  dataRow(fields: RowFields): Buffer {
    if (!this.#isBinary) return encodePacket(encodeTextRow(fields));
    const types = (this.#columns ?? []).map(({ typeOid }) => typeOid);
    return encodePacket(encodeBinaryRow(fields, types));
  }

  parameterStatus(): Buffer {
    return NOTHING;
  }

  error(error: OperatingError): Buffer {
    this.#columns = undefined;
    return encodePacket(encodeErr(errOf(error)));
  }

  notice(): Buffer {
    return NOTHING;
  }

  copyInResponse(): Buffer {
    return NOTHING;
  }

  copyOutResponse(): Buffer {
    return NOTHING;
  }

  /** A piece of a file (LOAD DATA LOCAL INFILE) as packets that every server takes; the backend numbers them. */
  copyData(bytes: Buffer): Buffer {
    const packets: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += FILE_PACKET_BYTES)
      packets.push(encodePacket(bytes.subarray(at, at + FILE_PACKET_BYTES)));
    return Buffer.concat(packets);
  }

  /** The empty packet that ends a file. */
  copyDone(): Buffer {
    return encodePacket(NOTHING);
  }

  /** As the server said it; a column of our own without a collation is text, in UTF-8. */
  #definitionOf(column: ResultColumn): Buffer {
    if (column.definition !== undefined) return column.definition;
    const { hasExtendedMetadata } = this.#login;
    if (column.tableOid !== 0) return encodeColumn(column, undefined, hasExtendedMetadata);
    const id = this.#login.collationId();
    const tableOid = characterSetOf(id) === 'utf8mb4' ? id : UTF8MB4_GENERAL_CI;
    return encodeColumn({ ...column, tableOid }, undefined, hasExtendedMetadata);
  }

  #eof(): Buffer {
    return encodePacket(encodeEof(this.#flags()));
  }
}

/** Servers say little more of a parameter than that it is there. */
function parameterDefinition(type: number, isExtended: boolean): Buffer {
  const column = {
    name: '?',
    typeOid: type === 0 ? FIELD_TYPE.VAR_STRING : type,
    tableOid: BINARY_COLLATION,
    typeSize: 0,
    typeModifier: FIELD_FLAG.BINARY,
    columnNumber: 0,
  };
  return encodeColumn(column, undefined, isExtended);
}
