import type { Request, Step } from '../../src/pool/request.js';
import type { StatementIds } from '../../src/pool/statement-ids.js';
import { StatementIds as Ids } from '../../src/pool/statement-ids.js';
import { decodeStep } from '../../src/postgres/client-steps.js';
import {
  encodeBind,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  encodeQuery,
} from '../../src/postgres/frontend-messages.js';

/** Steps as a frontend would have made them, for tests of backends. */

type Of<T extends Step['type']> = Extract<Step, { type: T }>;

const none = new Ids();

function step<T extends Step['type']>(frame: Buffer, ids: StatementIds = none): Of<T> {
  return decodeStep(frame[0]!, frame, ids) as Of<T>;
}

export function parse(
  ids: StatementIds,
  name: string,
  sql: string,
  types: readonly number[] = [],
): Of<'parse'> {
  return step(encodeParse(name, sql, types), ids);
}

export function bind(of: Of<'parse'>, values: readonly string[] = [], portal = ''): Of<'bind'> {
  const parameters = values.map((value) => Buffer.from(value));
  const frame = encodeBind({
    portal,
    statement: of.prepared.name,
    parameterFormats: [],
    parameters,
    resultFormats: [],
  });
  const bound = step<'bind'>(frame);
  bound.prepared = of.prepared;
  return bound;
}

export function describeStatement(of: Of<'parse'>): Of<'describe-statement'> {
  const described = step<'describe-statement'>(encodeDescribe('statement', of.prepared.name));
  described.prepared = of.prepared;
  return described;
}

export const describePortal = (portal = '') => step<'describe-portal'>(encodeDescribe('portal', portal));
export const execute = (portal = '', maxRows = 0) => step<'execute'>(encodeExecute(portal, maxRows));
export const closeStatement = (name: string) => step<'close-statement'>(encodeClose('statement', name));

const ending =
  (end: Request['end']) =>
  (...steps: Step[]): Request => ({ steps, end, byteLength: 0 });

export const request = {
  sync: ending('sync'),
  flush: ending('flush'),
  query: (sql: string): Request => ending('query')(step(encodeQuery(sql))),
};
