import type { ExplainStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { Analysis } from './analysis.js';
import { planDml } from './dml-plan.js';
import type { Draft } from './draft.js';
import type { Statement } from './statement.js';

/** EXPLAIN goes where its statement would go, as long as that is one shard. */
export function planExplain(explain: ExplainStmt, statement: Statement): Draft {
  const query = explain.query;
  const inner = query === undefined ? undefined : planDml(query, new Analysis(statement));
  if (inner === undefined) return { placement: { type: 'home' }, access: 'read' };
  const { placement } = inner;
  const isSingle =
    placement.type === 'home' ||
    placement.type === 'anywhere' ||
    (placement.type === 'keys' &&
      (placement.keys.length === 1 || placement.mustAgree === true) &&
      inner.merge === undefined &&
      inner.recipe === undefined) ||
    (placement.type === 'rows' && placement.rows.length === 1);
  if (!isSingle) {
    throw unsupported(
      'EXPLAIN of a statement that goes to several shards',
      'Name one shard: /* ringferry: shard=NAME */ EXPLAIN …; or see its route: EXPLAIN ROUTE on the control port.',
    );
  }
  const isRun = (explain.options ?? []).some(
    (option) => 'DefElem' in option && option.DefElem.defname === 'analyze',
  );
  return {
    placement,
    access: isRun ? (inner.access ?? 'read') : 'read',
    usesSharded: inner.usesSharded ?? false,
  };
}
