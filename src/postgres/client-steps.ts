import { OperatingError } from '../lib/errors.js';
import type { Step } from '../pool/request.js';
import type { StatementIds } from '../pool/statement-ids.js';
import type { ParameterValues } from '../routing/plan.js';
import { decodeBind, decodeExecute, decodeNamed, decodeParse, decodeQuery } from './frontend-messages.js';
import { FRONTEND } from './messages.js';

type BindStep = Extract<Step, { type: 'bind' }>;

/** A client's message as a step of its request. Throws `protocol-violation` for what is malformed or not a step. */
export function decodeStep(code: number, frame: Buffer, ids: StatementIds): Step {
  switch (code) {
    case FRONTEND.Query:
      return { type: 'query', sql: decodeQuery(frame), frame };
    case FRONTEND.Parse: {
      const { name, sql, bytes, parameterTypes } = decodeParse(frame);
      const facts = ids.factsOf(sql, parameterTypes, bytes);
      return {
        type: 'parse',
        prepared: { name, sql, bytes, parameterTypes, id: facts.id, facts },
        frame,
      };
    }
    case FRONTEND.Bind:
      return bindStep(frame);
    case FRONTEND.Describe: {
      const { target, name } = decodeNamed(frame, 'Describe');
      if (target === 'portal') return { type: 'describe-portal', portal: name, frame };
      return { type: 'describe-statement', prepared: undefined, statementName: name, frame };
    }
    case FRONTEND.Execute: {
      const { portal, maxRows } = decodeExecute(frame);
      return { type: 'execute', portal, maxRows, frame };
    }
    case FRONTEND.Close: {
      const { target, name } = decodeNamed(frame, 'Close');
      return target === 'portal'
        ? { type: 'close-portal', portal: name, frame }
        : { type: 'close-statement', statementName: name, frame };
    }
    case FRONTEND.FunctionCall:
      return { type: 'function-call', frame };
    default:
      throw new OperatingError(
        'protocol-violation',
        `unexpected message of type '${String.fromCharCode(code)}'`,
      );
  }
}

function bindStep(frame: Buffer): BindStep {
  const { portal, statement, parameterFormats, parameterOffsets, resultFormats } = decodeBind(frame);
  const { length } = parameterFormats;
  if (length > 1 && length !== parameterOffsets.length) {
    throw new OperatingError(
      'protocol-violation',
      `bind message has ${length} parameter formats but ${parameterOffsets.length} parameters`,
    );
  }
  const parameters = new BoundParameters(frame, parameterFormats, parameterOffsets);
  const step: BindStep = {
    type: 'bind',
    portal,
    prepared: undefined,
    statementName: statement,
    parameters,
    resultFormats,
    frame,
  };
  parameters.step = step;
  return step;
}

/** The values of one Bind, read from its frame when asked for. */
class BoundParameters implements ParameterValues {
  /** Knows the declared types once the session has looked the statement up. */
  step: BindStep | undefined;
  readonly #frame: Buffer;
  readonly #formats: readonly number[];
  readonly #offsets: readonly number[];

  constructor(frame: Buffer, formats: readonly number[], offsets: readonly number[]) {
    this.#frame = frame;
    this.#formats = formats;
    this.#offsets = offsets;
  }

  get count(): number {
    return this.#offsets.length;
  }

  typeOid(index: number): number {
    return this.step?.prepared?.parameterTypes[index] ?? 0;
  }

  format(index: number): number {
    return (this.#formats.length === 1 ? this.#formats[0] : this.#formats[index]) ?? 0;
  }

  bytes(index: number): Buffer | undefined {
    const offset = this.#offsets[index];
    if (offset === undefined) throw new RangeError(`there is no parameter ${index}`);
    const length = this.#frame.readInt32BE(offset);
    return length === -1 ? undefined : this.#frame.subarray(offset + 4, offset + 4 + length);
  }
}
