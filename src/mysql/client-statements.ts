import { OperatingError } from '../lib/errors.js';
import { type BulkParameters, type BulkRefusal, decodeBulkExecute } from './bulk-parameters.js';
import { decodeExecute, type ExecuteParameters } from './parameters.js';
import type { PrepareOk } from './result-messages.js';
import { Reader } from './wire.js';

/** A statement as the protocol's state on our side of the client: what the hall does not know. */
export interface ClientStatement {
  readonly id: number;
  /** Undefined until its COM_STMT_PREPARE has been answered. */
  parameterCount: number | undefined;
  /** Of the last execution that said them. */
  types: readonly number[] | undefined;
  /** What COM_STMT_SEND_LONG_DATA has brought, by parameter. */
  readonly longData: Map<number, Buffer[]>;
  longBytes: number;
}

/** Means the statement that was prepared last (MariaDB 10.2: COM_STMT_EXECUTE in one write with its COM_STMT_PREPARE). */
const LAST_PREPARED = 0xffffffff;

const NO_LONG_DATA: ReadonlyMap<number, Buffer> = new Map();

/** The prepared statements of one client by the ids that we gave it. */
export class ClientStatements {
  readonly #maxLongBytes: number;
  readonly #statements = new Map<number, ClientStatement>();
  #lastId = 0;
  #longBytes = 0;

  /** `maxLongBytes`: long data of all statements together. */
  constructor(maxLongBytes: number) {
    this.#maxLongBytes = maxLongBytes;
  }

  /** Ids are not used again while a connection lives. */
  prepare(): ClientStatement {
    this.#lastId++;
    const statement = {
      id: this.#lastId,
      parameterCount: undefined,
      types: undefined,
      longData: new Map(),
      longBytes: 0,
    };
    this.#statements.set(statement.id, statement);
    return statement;
  }

  /** Its COM_STMT_PREPARE has been answered; undefined: with an error. */
  prepared(statement: ClientStatement, answer: PrepareOk | undefined): void {
    if (answer === undefined) this.close(statement.id);
    else statement.parameterCount = answer.parameters;
  }

  find(id: number): ClientStatement | undefined {
    return this.#statements.get(id === LAST_PREPARED ? this.#lastId : id);
  }

  close(id: number): boolean {
    const statement = this.find(id);
    if (statement === undefined) return false;
    this.#forgetLongData(statement);
    return this.#statements.delete(statement.id);
  }

  /** COM_STMT_RESET: long data is dropped. */
  reset(statement: ClientStatement): void {
    this.#forgetLongData(statement);
  }

  clear(): void {
    this.#statements.clear();
    this.#longBytes = 0;
  }

  /** `18, statement id: 4, parameter: 2, bytes`. Not answered, so what is wrong with it is only told by the execution. Throws when it is too much. */
  addLongData(payload: Buffer): void {
    const reader = new Reader(payload, 'COM_STMT_SEND_LONG_DATA', 1);
    const statement = this.find(reader.int4());
    const parameter = reader.int2();
    const bytes = Buffer.from(reader.rest());
    if (statement === undefined) return;
    this.#longBytes += bytes.length;
    statement.longBytes += bytes.length;
    if (this.#longBytes > this.#maxLongBytes) {
      throw new OperatingError(
        'limit-exceeded',
        `more than ${this.#maxLongBytes} bytes of long data wait for their executions`,
        {
          hint: 'Send less at once, or raise limits.max_message_bytes.',
        },
      );
    }
    const pieces = statement.longData.get(parameter);
    if (pieces === undefined) statement.longData.set(parameter, [bytes]);
    else pieces.push(bytes);
  }

  /** The values of an execution; takes the long data. Throws `protocol-violation` or `invalid-parameter`. */
  execute(statement: ClientStatement, payload: Buffer, saysAttributes: boolean): ExecuteParameters {
    const longData = this.#takeLongData(statement);
    const count = statement.parameterCount ?? 0;
    const parameters = decodeExecute(payload, { count, known: statement.types, longData, saysAttributes });
    statement.types = parameters.types;
    return parameters;
  }

  /** The values of a bulk execution, which has no place for long data. Throws `protocol-violation`. */
  executeBulk(statement: ClientStatement, payload: Buffer): BulkParameters | BulkRefusal {
    const hasLongData = statement.longData.size > 0;
    this.#forgetLongData(statement);
    const parameters = decodeBulkExecute(payload, statement.parameterCount ?? 0, statement.types);
    if (typeof parameters === 'string') return parameters;
    statement.types = parameters.types;
    return hasLongData ? 'wrong-arguments' : parameters;
  }

  #takeLongData(statement: ClientStatement): ReadonlyMap<number, Buffer> {
    if (statement.longData.size === 0) return NO_LONG_DATA;
    const pieces = [...statement.longData];
    this.#forgetLongData(statement);
    return new Map(pieces.map(([index, of]) => [index, Buffer.concat(of)]));
  }

  #forgetLongData(statement: ClientStatement): void {
    this.#longBytes -= statement.longBytes;
    statement.longBytes = 0;
    statement.longData.clear();
  }
}
