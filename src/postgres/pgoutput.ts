import { OperatingError } from '../lib/errors.js';
import type { Lsn } from './lsn.js';

/**
 * Decodes pgoutput, protocol version 1 (manual, section 55.9 "Logical Replication Message Formats"). Pure: bytes in,
 * messages out. Values stay the bytes of the server's text; they are slices of the given buffer, which must not change.
 */

/** A column's value: its text, null, or undefined when it is a large value (TOAST) that did not change. */
export type Cell = Buffer | null | undefined;
export type Tuple = readonly Cell[];

export interface RelationColumn {
  readonly name: string;
  readonly isIdentity: boolean;
  readonly typeOid: number;
  readonly typeModifier: number;
}

export interface RelationMessage {
  readonly type: 'relation';
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  /** `d`efault, `n`othing, `f`ull or `i`ndex. */
  readonly identity: string;
  readonly columns: readonly RelationColumn[];
}

export type PgoutputMessage =
  | {
      readonly type: 'begin';
      readonly commitLsn: Lsn;
      readonly committedAtMicros: bigint;
      readonly xid: number;
    }
  | { readonly type: 'commit'; readonly commitLsn: Lsn; readonly endLsn: Lsn }
  | { readonly type: 'origin'; readonly name: string }
  | RelationMessage
  | { readonly type: 'type' }
  | { readonly type: 'insert'; readonly relation: number; readonly after: Tuple }
  /** `before`: the whole old row (`full`), its identity columns (`key`), or not sent because the identity did not change. */
  | {
      readonly type: 'update';
      readonly relation: number;
      readonly beforeKind: 'full' | 'key' | 'none';
      readonly before: Tuple | undefined;
      readonly after: Tuple;
    }
  | {
      readonly type: 'delete';
      readonly relation: number;
      readonly beforeKind: 'full' | 'key';
      readonly before: Tuple;
    }
  | { readonly type: 'truncate'; readonly relations: readonly number[] }
  | {
      readonly type: 'message';
      readonly isTransactional: boolean;
      readonly lsn: Lsn;
      readonly prefix: string;
    };

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  letter(): string {
    return String.fromCharCode(this.byte());
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#advance(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#advance(4));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#advance(8));
  }

  lsn(): Lsn {
    return this.#bytes.readBigUInt64BE(this.#advance(8));
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new RangeError('a text without its end');
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  slice(length: number): Buffer {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  expectEnd(): void {
    if (this.#at !== this.#bytes.length)
      throw new RangeError(`${this.#bytes.length - this.#at} bytes too many`);
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length < 0 || start + length > this.#bytes.length) throw new RangeError('cut short');
    this.#at = start + length;
    return start;
  }
}

/** Throws `protocol-violation` for anything that is not exactly one message. */
export function decodePgoutput(bytes: Buffer): PgoutputMessage {
  const reader = new Reader(bytes);
  try {
    const kind = reader.letter();
    const message = decodeBody(kind, reader);
    reader.expectEnd();
    return message;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const kind =
      bytes.length === 0 ? 'an empty message' : `message ${JSON.stringify(String.fromCharCode(bytes[0]!))}`;
    throw new OperatingError(
      'protocol-violation',
      `change stream: ${kind} of ${bytes.length} bytes: ${error.message}`,
    );
  }
}

function decodeBody(kind: string, reader: Reader): PgoutputMessage {
  switch (kind) {
    case 'B':
      return {
        type: 'begin',
        commitLsn: reader.lsn(),
        committedAtMicros: reader.int64(),
        xid: reader.uint32(),
      };
    case 'C':
      return decodeCommit(reader);
    case 'O':
      reader.lsn();
      return { type: 'origin', name: reader.text() };
    case 'R':
      return decodeRelation(reader);
    case 'Y':
      reader.uint32();
      reader.text();
      reader.text();
      return { type: 'type' };
    case 'I':
      return decodeInsert(reader);
    case 'U':
      return decodeUpdate(reader);
    case 'D':
      return decodeDelete(reader);
    case 'T':
      return decodeTruncate(reader);
    case 'M':
      return decodeMessage(reader);
    default:
      throw new RangeError('unknown');
  }
}

function decodeCommit(reader: Reader): PgoutputMessage {
  reader.byte();
  const commitLsn = reader.lsn();
  const endLsn = reader.lsn();
  reader.int64();
  return { type: 'commit', commitLsn, endLsn };
}

function decodeRelation(reader: Reader): RelationMessage {
  const id = reader.uint32();
  const schema = reader.text();
  const name = reader.text();
  const identity = reader.letter();
  const columns = Array.from({ length: reader.int16() }, () => ({
    isIdentity: (reader.byte() & 1) === 1,
    name: reader.text(),
    typeOid: reader.uint32(),
    typeModifier: reader.int32(),
  }));
  // An empty schema name stands for pg_catalog.
  return { type: 'relation', id, schema: schema === '' ? 'pg_catalog' : schema, name, identity, columns };
}

function decodeInsert(reader: Reader): PgoutputMessage {
  const relation = reader.uint32();
  expectLetter(reader.letter(), 'N');
  return { type: 'insert', relation, after: decodeTuple(reader) };
}

function decodeUpdate(reader: Reader): PgoutputMessage {
  const relation = reader.uint32();
  const letter = reader.letter();
  if (letter === 'N')
    return { type: 'update', relation, beforeKind: 'none', before: undefined, after: decodeTuple(reader) };
  const beforeKind = kindOfOldTuple(letter);
  const before = decodeTuple(reader);
  expectLetter(reader.letter(), 'N');
  return { type: 'update', relation, beforeKind, before, after: decodeTuple(reader) };
}

function decodeDelete(reader: Reader): PgoutputMessage {
  const relation = reader.uint32();
  return {
    type: 'delete',
    relation,
    beforeKind: kindOfOldTuple(reader.letter()),
    before: decodeTuple(reader),
  };
}

function kindOfOldTuple(letter: string): 'full' | 'key' {
  if (letter === 'O') return 'full';
  expectLetter(letter, 'K');
  return 'key';
}

function decodeTruncate(reader: Reader): PgoutputMessage {
  const count = reader.uint32();
  reader.byte();
  return { type: 'truncate', relations: Array.from({ length: count }, () => reader.uint32()) };
}

function decodeMessage(reader: Reader): PgoutputMessage {
  const isTransactional = (reader.byte() & 1) === 1;
  const lsn = reader.lsn();
  const prefix = reader.text();
  reader.slice(reader.uint32());
  return { type: 'message', isTransactional, lsn, prefix };
}

function decodeTuple(reader: Reader): Tuple {
  const count = reader.int16();
  const cells: Cell[] = new Array(count);
  for (let index = 0; index < count; index++) cells[index] = decodeCell(reader);
  return cells;
}

function decodeCell(reader: Reader): Cell {
  const kind = reader.letter();
  if (kind === 't') return reader.slice(reader.int32());
  if (kind === 'n') return null;
  expectLetter(kind, 'u');
  return undefined;
}

function expectLetter(letter: string, expected: string): void {
  if (letter !== expected) throw new RangeError(`${JSON.stringify(letter)} where ${expected} was expected`);
}
