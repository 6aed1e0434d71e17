import type { SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { type Analysis, TOP } from './analysis.js';
import type { Draft } from './draft.js';

/** SELECT INTO makes a table. */
export function planInto(select: SelectStmt, analysis: Analysis): Draft {
  const { shape } = analysis.query({ ...select, intoClause: undefined } as unknown as SelectStmt, TOP);
  if (shape.type === 'spread' || shape.type === 'pinned')
    throw unsupported('SELECT INTO from sharded tables', 'Create the table first, then insert into it.');
  if (
    select.intoClause?.rel !== undefined &&
    analysis.statement.find(select.intoClause.rel)?.placement === 'sharded'
  )
    throw unsupported('SELECT INTO a sharded table', 'Use CREATE TABLE and INSERT.');
  const isTemporary = select.intoClause?.rel?.relpersistence === 't';
  return {
    access: 'ddl',
    placement: { type: 'home' },
    session: isTemporary ? { type: 'pin', reason: 'temporary table' } : undefined,
  };
}
