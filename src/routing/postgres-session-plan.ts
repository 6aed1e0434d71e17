import type { A_Const, Node, TransactionStmt, VariableSetStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { walk } from '../sql/postgres-tree.js';
import type { Draft } from './draft.js';
import type { SessionEffect, TransactionCommand } from './plan.js';

/** Facts of statements about the transaction or the session, which hold whatever the tables; undefined for others. */
export function planSession(node: Node): Draft | undefined {
  if ('TransactionStmt' in node) return planTransaction(node.TransactionStmt);
  if ('VariableSetStmt' in node)
    return { placement: { type: 'anywhere' }, session: settingEffect(node.VariableSetStmt) };
  if ('VariableShowStmt' in node) return { placement: { type: 'anywhere' }, access: 'read' };
  if ('ConstraintsSetStmt' in node)
    return { placement: { type: 'anywhere' }, session: { type: 'set', name: 'constraints', local: true } };
  if ('DiscardStmt' in node) {
    return node.DiscardStmt.target === 'DISCARD_ALL'
      ? { placement: { type: 'anywhere' }, session: { type: 'discard-all' } }
      : { placement: { type: 'home' } };
  }
  if ('ListenStmt' in node) return pinned('LISTEN');
  if ('UnlistenStmt' in node || 'ClosePortalStmt' in node || 'DeallocateStmt' in node)
    return { placement: { type: 'home' } };
  if ('NotifyStmt' in node) return { placement: { type: 'home' }, access: 'write' };
  if ('LoadStmt' in node) return pinned('LOAD');
  if ('FetchStmt' in node) return { placement: { type: 'home' }, access: 'read' };
  if ('ExecuteStmt' in node) return { placement: { type: 'home' }, access: 'write' };
  if ('CheckPointStmt' in node) return { placement: { type: 'home' }, isOutsideTransaction: true };
  return undefined;
}

export function pinned(reason: string): Draft {
  return { placement: { type: 'home' }, session: { type: 'pin', reason } };
}

function planTransaction(statement: TransactionStmt): Draft {
  const transaction = commandOf(statement);
  if (transaction !== undefined) return { placement: { type: 'anywhere' }, transaction };
  throw unsupported(
    'two-phase commit by the client',
    'Use COMMIT: over several shards Ringferry commits in two phases itself.',
  );
}

function commandOf(statement: TransactionStmt): TransactionCommand | undefined {
  const chain = statement.chain === true;
  const name = statement.savepoint_name ?? '';
  switch (statement.kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      return { type: 'begin', isolation: isolationOf(statement.options ?? []) };
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
      return undefined;
  }
}

function isolationOf(options: readonly Node[]): (TransactionCommand & { type: 'begin' })['isolation'] {
  for (const option of options) {
    if (!('DefElem' in option) || option.DefElem.defname !== 'transaction_isolation') continue;
    const value = option.DefElem.arg;
    const level = value !== undefined && 'A_Const' in value ? value.A_Const.sval?.sval : undefined;
    if (level === 'serializable' || level === 'repeatable read') return level;
    return 'read committed';
  }
  return undefined;
}

function settingEffect(statement: VariableSetStmt): SessionEffect {
  const name = (statement.name ?? '').toLowerCase();
  const local = statement.is_local === true;
  switch (statement.kind) {
    case 'VAR_RESET_ALL':
      return { type: 'reset', name: undefined };
    case 'VAR_RESET':
      return { type: 'reset', name };
    case 'VAR_SET_MULTI':
      // SET TRANSACTION is for the current transaction, SET SESSION CHARACTERISTICS for the session.
      return { type: 'set', name, local: name === 'transaction' || name === 'transaction snapshot' };
    case 'VAR_SET_VALUE': {
      const values = (statement.args ?? []).map((arg) =>
        'A_Const' in arg ? constantText(arg.A_Const) : undefined,
      );
      return values.every((value) => value !== undefined)
        ? { type: 'set', name, local, values }
        : { type: 'set', name, local };
    }
    default:
      return { type: 'set', name, local };
  }
}

function constantText(constant: A_Const): string | undefined {
  if (constant.sval !== undefined) return constant.sval.sval ?? '';
  if (constant.ival !== undefined) return String(constant.ival.ival ?? 0);
  if (constant.fval !== undefined) return constant.fval.fval ?? '0';
  if (constant.boolval !== undefined) return String(constant.boolval.boolval ?? false);
  return undefined;
}

/** Settings under which statements would no longer mean what the router reads in them. */
export function refuseMisleadingSetting(effect: SessionEffect | undefined): void {
  if (effect?.type !== 'set' || effect.values === undefined) return;
  const value = (effect.values[0] ?? '').toLowerCase();
  if (
    effect.name === 'standard_conforming_strings' &&
    !['on', 'true', 'yes', '1', 't', 'y'].includes(value)
  ) {
    throw unsupported(
      'standard_conforming_strings = off in a sharded database',
      "Write strings with backslash escapes as E'…'.",
    );
  }
  if (effect.name === 'client_encoding' && !['utf8', 'utf-8', 'unicode', 'default'].includes(value)) {
    throw unsupported(
      `client_encoding = ${value} in a sharded database`,
      'Use UTF8: shard keys are hashed in it.',
    );
  }
}

/** Reasons why the session must stay on its backend, found anywhere in a statement. For databases that are passed through. */
export function pinReason(node: Node): string | undefined {
  if ('PrepareStmt' in node) return 'PREPARE';
  if ('ListenStmt' in node) return 'LISTEN';
  if ('LoadStmt' in node) return 'LOAD';
  if ('DeclareCursorStmt' in node && ((node.DeclareCursorStmt.options ?? 0) & CURSOR_OPT_HOLD) !== 0)
    return 'cursor WITH HOLD';
  if ('CreateStmt' in node && node.CreateStmt.relation?.relpersistence === 't') return 'temporary table';
  if ('CreateSeqStmt' in node && node.CreateSeqStmt.sequence?.relpersistence === 't')
    return 'temporary sequence';
  if ('ViewStmt' in node && node.ViewStmt.view?.relpersistence === 't') return 'temporary view';
  if ('CreateTableAsStmt' in node && node.CreateTableAsStmt.into?.rel?.relpersistence === 't')
    return 'temporary table';
  let reason: string | undefined;
  walk(node, (kind, inner) => {
    if (
      kind === 'SelectStmt' &&
      (inner['intoClause'] as { rel?: { relpersistence?: string } } | undefined)?.rel?.relpersistence === 't'
    )
      reason ??= 'temporary table';
    if (kind !== 'FuncCall') return undefined;
    const name = (inner['funcname'] as { String?: { sval?: string } }[]).at(-1)?.String?.sval ?? '';
    if (/^pg_(try_)?advisory_lock(_shared)?$/.test(name)) reason ??= 'advisory lock';
    if (name === 'set_config') reason ??= 'set_config';
    return undefined;
  });
  return reason;
}

/** Bit of DeclareCursorStmt.options (parsenodes.h). */
export const CURSOR_OPT_HOLD = 0x0020;
