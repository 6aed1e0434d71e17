import { OperatingError } from '../lib/errors.js';
import type { ParameterValues } from '../routing/plan.js';
import { FIELD_TYPE, UNSIGNED_TYPE } from './capabilities.js';
import { bitmapBytes, isNull, readBinaryValue } from './result-messages.js';
import { Reader } from './wire.js';

const BINARY_FORMAT = 1;
const KNOWN_BITS = UNSIGNED_TYPE | 0xff;
/** Behind the command byte: statement id (4), cursor flags (1), iterations (4). */
const HEAD_BYTES = 10;
const FLAGS_AT = 5;
const PARAMETER_COUNT_AVAILABLE = 0x08;
/** Of parameters, which their bytes in COM_STMT_PREPARE_OK cannot say more of, and attributes. */
const MAX_COUNT = 0x1ffffn;

/** The values of one COM_STMT_EXECUTE, as the client's own bytes. */
export class ExecuteParameters implements ParameterValues {
  /** Type code, and 0x8000 where the value has no sign; to be remembered for executions that leave them out. */
  readonly types: readonly number[];
  readonly #values: readonly (Buffer | undefined)[];

  constructor(types: readonly number[], values: readonly (Buffer | undefined)[]) {
    this.types = types;
    this.#values = values;
  }

  get count(): number {
    return this.#values.length;
  }

  typeOid(index: number): number {
    return this.types[index] ?? 0;
  }

  format(): number {
    return BINARY_FORMAT;
  }

  bytes(index: number): Buffer | undefined {
    if (index < 0 || index >= this.#values.length) throw new RangeError(`there is no parameter ${index}`);
    return this.#values[index];
  }
}

const NONE = new ExecuteParameters([], []);

/** What is known of a statement that is executed. */
export interface ExecutedStatement {
  /** Of its parameters. */
  readonly count: number;
  /** The types of the execution before, for a client that does not say them again. */
  readonly known: readonly number[] | undefined;
  /** Values that COM_STMT_SEND_LONG_DATA has brought; the packet has nothing in their places. */
  readonly longData: ReadonlyMap<number, Buffer>;
  /** The client has CLIENT_QUERY_ATTRIBUTES. */
  readonly saysAttributes?: boolean;
}

/**
 * `17, statement id: 4, flags: 1, iterations: 4, [NULL bitmap: (n + 7) / 8, 1 where types follow: 1, types: 2 each, values]`. With attributes
 * (MySQL internals, "COM_STMT_EXECUTE"): their number and that of the parameters together as lenenc in front of the bitmap where the
 * flags say so, and a name (lenenc) behind each type; the attributes are the last, and left out here.
 */
export function decodeExecute(payload: Buffer, statement: ExecutedStatement): ExecuteParameters {
  const { count, known, longData, saysAttributes = false } = statement;
  const reader = new Reader(payload, 'COM_STMT_EXECUTE', HEAD_BYTES);
  const isCounted = saysAttributes && (payload[FLAGS_AT]! & PARAMETER_COUNT_AVAILABLE) !== 0;
  const said = isCounted ? countOf(reader, count) : count;
  if (said === 0) return NONE;
  const bitmap = reader.bytes(bitmapBytes(said, 0));
  const hasTypes = reader.int1() === 1;
  const types = hasTypes ? readTypes(reader, said, saysAttributes) : known;
  if (types === undefined || types.length < said) {
    throw new OperatingError(
      'invalid-parameter',
      'the first execution of a statement must say the types of its parameters',
    );
  }
  const values: (Buffer | undefined)[] = [];
  // The values of attributes are read and left out.
  for (let index = 0; index < said; index++) {
    const type = types[index]!;
    const isAbsent = isNull(bitmap, index) || (type & 0xff) === FIELD_TYPE.NULL;
    const value = longData.get(index) ?? (isAbsent ? undefined : readBinaryValue(reader, type));
    if (index < count) values.push(value);
  }
  reader.end();
  return new ExecuteParameters(types.length === count ? types : types.slice(0, count), values);
}

/** `3, attributes: lenenc, sets (always 1): lenenc, [NULL bitmap, 1, (type: 2, name: lenenc) each, values], text`: the text. */
export function behindAttributes(payload: Buffer): Buffer {
  const reader = new Reader(payload, 'COM_QUERY', 1);
  const count = countOf(reader, 0);
  reader.lenenc();
  if (count === 0) return reader.rest();
  const bitmap = reader.bytes(bitmapBytes(count, 0));
  if (reader.int1() !== 1) throw new OperatingError('protocol-violation', 'query attributes without types');
  readTypes(reader, count, true).forEach((type, index) => {
    if (!isNull(bitmap, index) && (type & 0xff) !== FIELD_TYPE.NULL) readBinaryValue(reader, type);
  });
  return reader.rest();
}

function countOf(reader: Reader, least: number): number {
  const count = reader.lenenc();
  if (count >= BigInt(least) && count <= MAX_COUNT) return Number(count);
  throw new OperatingError('protocol-violation', `a statement with ${count} parameters and attributes`);
}

function readTypes(reader: Reader, count: number, areNamed: boolean): number[] {
  return Array.from({ length: count }, () => {
    const type = reader.int2() & KNOWN_BITS;
    if (areNamed) reader.lenencBytes();
    return type;
  });
}
