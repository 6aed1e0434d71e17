import { OperatingError } from '../lib/errors.js';
import type { Touch } from '../topology/gate.js';
import { TOUCHES_NOTHING } from '../topology/gate.js';
import { canonicalKey, isWithin } from '../topology/key.js';
import type { KeyType } from '../topology/keyspace.js';
import type { ShardName } from '../topology/ring.js';
import { type Snapshot, servingShards } from '../topology/snapshot.js';
import { type Token, tokenOf } from '../topology/token.js';
import { keyValues } from './key-value.js';
import type { KeySource, ParameterValues, Placement, Plan, PlannedStatement, Route } from './plan.js';

/** Finds the shards of one execution at one epoch. Throws OperatingError when refused or when a key cannot be understood. */
export function routeOf(
  statement: PlannedStatement,
  parameters: ParameterValues | undefined,
  snapshot: Snapshot,
): Route {
  const { plan } = statement;
  const { placement } = plan;
  if (plan.mustBeGiven !== undefined) checkGiven(statement, parameters);
  switch (placement.type) {
    case 'refused':
      throw placement.error;
    case 'anywhere':
    case 'home':
      return { shards: [snapshot.home], touch: touchOf(plan), rows: undefined };
    case 'every':
      return { shards: servingShards(snapshot), touch: touchOf(plan), rows: undefined };
    case 'shard': {
      if (servingShards(snapshot).includes(placement.shard))
        return { shards: [placement.shard], touch: touchOf(plan), rows: undefined };
      throw new OperatingError(
        'invalid-parameter',
        `there is no shard "${placement.shard}" in database "${snapshot.database}"`,
        { hint: `Its shards are: ${servingShards(snapshot).join(', ')}.` },
      );
    }
    case 'key-by-hand': {
      const canonical = canonicalKey(placement.keyType ?? 'text', placement.key);
      if (canonical === undefined) throw badKey(placement.keyType ?? 'text', `"${placement.key}"`);
      return byTokens([tokenOf(canonical)], plan, snapshot);
    }
    case 'keys':
      return routeKeys(statement, placement, parameters, snapshot);
    case 'rows':
      return routeRows(statement, placement, parameters, snapshot);
  }
}

function touchOf(plan: Plan): Touch {
  if (!plan.usesSharded && !plan.writesReference) return TOUCHES_NOTHING;
  return { tokens: [], sharded: plan.usesSharded, reference: plan.writesReference };
}

function byTokens(tokens: readonly Token[], plan: Plan, snapshot: Snapshot): Route {
  const shards = [...new Set(tokens.map((token) => snapshot.ring.owner(token)))].sort();
  const touch: Touch = { tokens, sharded: false, reference: plan.writesReference };
  // No value at all (= NULL, an empty array): no row can match, so any shard gives the right answer.
  return { shards: shards.length === 0 ? [snapshot.home] : shards, touch, rows: undefined };
}

function routeKeys(
  statement: PlannedStatement,
  placement: Placement & { type: 'keys' },
  parameters: ParameterValues | undefined,
  snapshot: Snapshot,
): Route {
  if (placement.keys.length === 1) {
    const values = keyValues(placement.keys[0]!, placement.keyType, statement, parameters);
    if (values !== 'unknown' && values.length === 1 && values[0] !== null) {
      const token = tokenOf(values[0]!);
      const touch: Touch = { tokens: [token], sharded: false, reference: statement.plan.writesReference };
      return { shards: [snapshot.ring.owner(token)], touch, rows: undefined };
    }
  }
  const texts = new Set<string>();
  let hasNull = false;
  for (const source of placement.keys) {
    const values = keyValues(source, placement.keyType, statement, parameters);
    if (values === 'unknown') {
      // What can be merged from some shards can be merged from all of them.
      if (statement.plan.merge !== undefined && placement.mustAgree !== true)
        return {
          shards: servingShards(snapshot),
          touch: { tokens: [], sharded: true, reference: false },
          rows: undefined,
        };
      throw badKey(placement.keyType, describeSource(source, statement));
    }
    for (const value of values) {
      if (value === null) hasNull = true;
      else texts.add(value);
    }
  }
  if (placement.mustAgree === true && (texts.size > 1 || (hasNull && texts.size > 0))) {
    throw new OperatingError(
      'unsupported',
      'the statement uses sharded tables with different values of the shard key',
      {
        detail: `Values: ${[...texts].slice(0, 5).join(', ')}${hasNull ? ', NULL' : ''}.`,
        hint: 'Use one value for all of them, or use statements of their own.',
      },
    );
  }
  return byTokens([...texts].map(tokenOf), statement.plan, snapshot);
}

function routeRows(
  statement: PlannedStatement,
  placement: Placement & { type: 'rows' },
  parameters: ParameterValues | undefined,
  snapshot: Snapshot,
): Route {
  const tokens: Token[] = [];
  const rows = new Map<ShardName, number[]>();
  placement.rows.forEach((source, row) => {
    const values = keyValues(source, placement.keyType, statement, parameters);
    const value = values === 'unknown' || values.length !== 1 ? undefined : values[0];
    if (value === null)
      throw new OperatingError('invalid-key', 'a sharded row must not have NULL as its shard key', {
        sqlstate: '23502',
      });
    if (value === undefined || !isStoredAsItIs(value, placement))
      throw badKey(placement.keyType, describeSource(source, statement));
    const token = tokenOf(value);
    const owner = snapshot.ring.owner(token);
    tokens.push(token);
    const owned = rows.get(owner);
    if (owned === undefined) rows.set(owner, [row]);
    else owned.push(row);
  });
  const touch: Touch = { tokens, sharded: false, reference: false };
  return { shards: [...rows.keys()].sort(), touch, rows: rows.size > 1 ? rows : undefined };
}

function isStoredAsItIs(
  value: string,
  { keyType, maxLength, bounds }: Placement & { type: 'rows' },
): boolean {
  if (maxLength !== undefined && [...value].length > maxLength) return false;
  return bounds === undefined || isWithin(keyType, value, bounds);
}

/** An id that is NULL or 0 at this execution would be chosen by each shard. */
function checkGiven(statement: PlannedStatement, parameters: ParameterValues | undefined): void {
  const { column, sources } = statement.plan.mustBeGiven!;
  for (const source of sources) {
    const values = keyValues(source, 'integer', statement, parameters);
    if (values !== 'unknown' && values.length === 1 && values[0] !== null && values[0] !== '0') continue;
    throw new OperatingError(
      'unsupported',
      `"${column}" without a value would be numbered by each shard on its own, which would give the same number twice`,
      { hint: `Give "${column}" a whole number other than 0 in the INSERT.` },
    );
  }
}

function describeSource(source: KeySource, statement: PlannedStatement): string {
  if (source.type === 'null') return 'NULL';
  if (source.type === 'parameter') return `$${source.index + 1}`;
  return (statement.literals[source.index] ?? '').slice(0, 100);
}

const FORMS: Partial<Record<KeyType, string>> = {
  integer: 'Write a whole number of 64 bits.',
  date: 'Write YYYY-MM-DD.',
  timestamp: 'Write YYYY-MM-DD HH:MM:SS[.ffffff] without a time zone.',
  timestamptz: 'Write YYYY-MM-DD HH:MM:SS[.ffffff] with its offset, e.g. +00.',
  numeric: 'Write a plain decimal number.',
  text: 'Use a text no longer than the column; E-strings with plain escapes.',
};

function badKey(keyType: KeyType, what: string): OperatingError {
  return new OperatingError('invalid-key', `the shard key ${what} cannot be understood as ${keyType}`, {
    hint: FORMS[keyType] ?? 'Write the value as a plain literal or parameter of the column’s own type.',
  });
}
