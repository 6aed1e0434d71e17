import type { Node } from '@pgsql/types';
import { type OperatingError, unsupported } from '../lib/errors.js';
import type { Table } from '../topology/keyspace.js';
import type { Placement, Plan } from './plan.js';
import type { Shape } from './shape.js';
import type { FunctionFacts } from './sql-dialect.js';

/** How to write the text that one shard runs, when the client's own will not do. */
export interface Recipe {
  /** The statement as shards run it; shares its FROM entries with the client's tree. */
  readonly tree: Node;
  /** The shards' text differs from the client's whatever the topology. */
  readonly isChanged: boolean;
  /** The table that an UPDATE or DELETE changes, and the name that its columns go by. */
  readonly target: { readonly table: Table; readonly alias: string } | undefined;
  /** What shards other than home run: without the tables that live at home alone. Home runs the client's own text. */
  readonly elsewhere?: Node;
}

/** A plan in the making: what is left out has the usual value. */
export type Draft = Partial<Plan> & { readonly placement: Placement; readonly recipe?: Recipe };

export function completePlan(verb: string, draft: Draft): Plan {
  return {
    verb: draft.verb ?? verb,
    access: draft.access ?? 'none',
    transaction: draft.transaction,
    session: draft.session,
    placement: draft.placement,
    merge: draft.merge,
    copy: draft.copy,
    usesSharded: draft.usesSharded ?? false,
    writesReference: draft.writesReference ?? false,
    isOutsideTransaction: draft.isOutsideTransaction ?? false,
    ...(draft.commitsBefore === undefined ? {} : { commitsBefore: draft.commitsBefore }),
    ...(draft.usesSessionState === undefined ? {} : { usesSessionState: draft.usesSessionState }),
    ...(draft.numbers === undefined ? {} : { numbers: draft.numbers }),
    ...(draft.givenNumbers === undefined ? {} : { givenNumbers: draft.givenNumbers }),
    ...(draft.mustBeGiven === undefined ? {} : { mustBeGiven: draft.mustBeGiven }),
    ...(draft.incoming === undefined ? {} : { incoming: draft.incoming }),
    ...(draft.pace === undefined ? {} : { pace: draft.pace }),
  };
}

export function refused(error: OperatingError): Placement {
  return { type: 'refused', error };
}

/** Where a statement goes whose rows are all in one place; undefined for rows of several shards. */
export function placementOf(shape: Shape, functions: FunctionFacts): Placement | undefined {
  if (shape.type === 'spread') return undefined;
  if (shape.type === 'constant') return { type: functions.home === undefined ? 'anywhere' : 'home' };
  if (shape.type === 'home') return { type: 'home' };
  if (shape.type === 'tied')
    throw unsupported(
      'the statement cannot be understood',
      'Say its shard by hand: /* ringferry: key=VALUE */.',
    );
  refuseHomeFunctions(functions);
  const { keyType, keys } = shape;
  return keys.length === 1
    ? { type: 'keys', keyType, keys }
    : { type: 'keys', keyType, keys, mustAgree: true };
}

/** Sequences and locks live on the home shard, so a statement on another shard must not call them. */
export function refuseHomeFunctions(functions: FunctionFacts): void {
  if (functions.home === undefined) return;
  if (functions.home.startsWith('@'))
    throw unsupported(
      `the user variable ${functions.home} in a statement on sharded tables: it lives in one server's session`,
      'Pass its value as a literal or a parameter.',
    );
  const isSequence = /val$/.test(functions.home);
  throw unsupported(
    `${functions.home}() in a statement on sharded tables would be asked of each shard on its own`,
    isSequence
      ? 'Take the value first by a statement of its own (SELECT nextval(…) goes to the home shard), then pass it.'
      : 'Call it in a statement of its own: it then goes to the home shard.',
  );
}
