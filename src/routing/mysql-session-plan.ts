import type { Node, TransactionStmt } from '@pgsql/types';
import { OperatingError, unsupported } from '../lib/errors.js';
import { type SetAssignment, statementOf } from '../sql/mysql-tree.js';
import { walk } from '../sql/postgres-tree.js';
import type { Draft } from './draft.js';
import type { SessionEffect, TransactionCommand } from './plan.js';

/** Facts of statements about the transaction or the session; undefined for others. What is refused here is so on sharded databases only. */
export function planMysqlSession(node: Node): Draft | undefined {
  if ('TransactionStmt' in node) return planTransaction(node.TransactionStmt);
  const set = statementOf(node, 'SetStmt');
  if (set !== undefined) return planSet(set.assignments);
  const kill = statementOf(node, 'KillStmt');
  if (kill !== undefined) return planKill(kill.id, kill.type === 'query');
  if (statementOf(node, 'XaStmt') !== undefined)
    throw unsupported(
      'XA transactions by the client',
      'Use COMMIT: over several shards Ringferry commits in two phases itself.',
    );
  return undefined;
}

export function pinned(reason: string): Draft {
  return { placement: { type: 'home' }, session: { type: 'pin', reason } };
}

function planTransaction(statement: TransactionStmt): Draft {
  const options = (statement.options ?? []).map((option) =>
    'DefElem' in option ? option.DefElem : undefined,
  );
  if (options.some((option) => option?.defname === 'consistent_snapshot'))
    throw unsupported(
      'START TRANSACTION WITH CONSISTENT SNAPSHOT over several shards',
      'Use START TRANSACTION: each shard takes its snapshot at its first statement.',
    );
  if ((statement as { release?: boolean }).release === true)
    throw unsupported('COMMIT or ROLLBACK with RELEASE', 'Close the connection after it.');
  const readOnly = options.some(
    (option) => option?.defname === 'transaction_read_only' && isTrue(option.arg),
  );
  const transaction = commandOf(statement, readOnly);
  return { placement: { type: 'anywhere' }, transaction };
}

function isTrue(node: Node | undefined): boolean {
  return node !== undefined && 'A_Const' in node && node.A_Const.boolval?.boolval === true;
}

function commandOf(statement: TransactionStmt, readOnly: boolean): TransactionCommand {
  const chain = statement.chain === true;
  const name = statement.savepoint_name ?? '';
  switch (statement.kind) {
    case 'TRANS_STMT_COMMIT':
      return { type: 'commit', chain };
    case 'TRANS_STMT_ROLLBACK':
      return { type: 'rollback', chain };
    case 'TRANS_STMT_SAVEPOINT':
      return { type: 'savepoint', name };
    case 'TRANS_STMT_RELEASE':
      return { type: 'release', name };
    case 'TRANS_STMT_ROLLBACK_TO':
      return { type: 'rollback-to', name };
    default:
      return { type: 'begin', isolation: undefined, ...(readOnly ? { readOnly } : {}) };
  }
}

function planKill(id: Node | undefined, queryOnly: boolean): Draft {
  const value = id !== undefined && 'A_Const' in id ? constantText(id) : undefined;
  if (value === undefined || !/^\d{1,15}$/.test(value))
    throw unsupported('KILL of anything but a connection’s number', 'KILL [QUERY] number.');
  return { placement: { type: 'anywhere' }, session: { type: 'kill', id: Number(value), queryOnly } };
}

/** Hints said by hand for the session, as user variables. */
const HINTS: Readonly<Record<string, string>> = {
  ringferry_shard: 'ringferry.shard',
  ringferry_key: 'ringferry.key',
};

function planSet(assignments: readonly SetAssignment[]): Draft {
  const [only, ...others] = assignments;
  if (only !== undefined && others.length === 0) {
    const hint = only.scope === 'user' ? HINTS[only.name.toLowerCase()] : undefined;
    if (hint !== undefined) return { placement: { type: 'anywhere' }, session: hintEffect(hint, only) };
    if (only.scope === 'session' && only.name === 'autocommit')
      return { placement: { type: 'anywhere' }, session: { type: 'autocommit', on: isOn(only) } };
  }
  const names: string[] = [];
  for (const assignment of assignments) {
    const reason = pinningReason(assignment);
    if (reason !== undefined) return pinned(reason);
    if (assignment.scope === 'global')
      return { placement: { type: 'home' }, isOutsideTransaction: true, access: 'none' };
    if (assignment.name === 'autocommit') {
      // Beside others it can only say what holds anyway.
      if (isOn(assignment)) continue;
      throw unsupported('SET autocommit = 0 beside other settings', 'Set it in a statement of its own.');
    }
    names.push(...settingNames(assignment));
  }
  const values = assignments.length === 1 ? valuesOf(only!) : undefined;
  return {
    placement: { type: 'anywhere' },
    session: {
      type: 'set',
      // Several at once are one setting, whose names are told by commas.
      name: [...new Set(names)].join(','),
      local: false,
      ...(values === undefined ? {} : { values }),
    },
  };
}

function hintEffect(name: string, { value }: SetAssignment): SessionEffect {
  const isNull = value !== undefined && 'A_Const' in value && value.A_Const.isnull === true;
  const text = isNull ? '' : constantText(value);
  if (text === undefined)
    throw new OperatingError('invalid-parameter', 'a routing hint must be a plain text or number', {
      hint: "SET @ringferry_shard = 'NAME'; SET @ringferry_key = 'VALUE'; NULL takes it back.",
    });
  return { type: 'set', name, local: false, values: [text] };
}

/** What lives in one server's session only, or is said for its next transaction. */
function pinningReason({ scope, name, value }: SetAssignment): string | undefined {
  if (scope === 'user') return 'user variable';
  if (scope === 'special' && (name === 'transaction' || name === 'role' || name === 'default role'))
    return `SET ${name.toUpperCase()}`;
  if (name === 'password') return 'SET PASSWORD';
  let reason: string | undefined;
  walk(value === undefined ? [] : [value], (kind) => {
    if (kind === 'UserVariable' || kind === 'VariableAssignment') reason = 'user variable';
    if (kind === 'SubLink') reason = 'a setting read from a table';
    return undefined;
  });
  return reason;
}

function settingNames({ scope, name, text }: SetAssignment): string[] {
  if (name === 'transaction' && scope === 'session')
    return [
      ...(/isolation/i.test(text) ? ['tx_isolation'] : []),
      ...(/read\s+(only|write)/i.test(text) ? ['tx_read_only'] : []),
    ];
  const lower = name.toLowerCase();
  return [SAME_SETTING[lower] ?? lower];
}

/** The other names of what SET TRANSACTION sets: one setting, whose last value counts. */
const SAME_SETTING: Readonly<Record<string, string>> = {
  transaction_isolation: 'tx_isolation',
  transaction_read_only: 'tx_read_only',
};

function isOn(assignment: SetAssignment): boolean {
  const { value } = assignment;
  // DEFAULT is on.
  if (value === undefined) return true;
  if ('A_Const' in value && value.A_Const.boolval !== undefined)
    return value.A_Const.boolval.boolval === true;
  const text = constantText(value)?.toLowerCase();
  if (text === '1' || text === 'on' || text === 'true') return true;
  if (text === '0' || text === 'off' || text === 'false') return false;
  // ON and OFF may come as names.
  const word = assignment.text.trim().toLowerCase();
  if (word === 'on' || word === 'off') return word === 'on';
  throw unsupported('SET autocommit to anything but 0 or 1', 'SET autocommit = 0.');
}

function valuesOf(assignment: SetAssignment): string[] | undefined {
  const text = constantText(assignment.value);
  if (text !== undefined) return [text];
  return assignment.scope === 'special' ? [assignment.text] : undefined;
}

export function constantText(node: Node | undefined): string | undefined {
  if (node === undefined || !('A_Const' in node)) return undefined;
  const constant = node.A_Const;
  if (constant.sval !== undefined) return constant.sval.sval ?? '';
  if (constant.ival !== undefined) return String(constant.ival.ival ?? 0);
  return constant.fval?.fval;
}
