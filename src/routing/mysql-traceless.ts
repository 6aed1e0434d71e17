import type { FuncCall, SelectStmt } from '@pgsql/types';
import { functionNameOf, walk } from '../sql/postgres-tree.js';
import { MYSQL_FUNCTIONS, MYSQL_PINNING, MYSQL_VOLATILE } from './mysql-function-names.js';

/** Another value at each call, and yet nothing is different after it (MariaDB and MySQL manuals, "Date and Time Functions", "Miscellaneous Functions"). */
const VOLATILE_WITHOUT_TRACE = new Set(
  (
    'now current_timestamp localtime localtimestamp curdate current_date curtime current_time sysdate utc_date utc_time utc_timestamp unix_timestamp ' +
    'random_bytes uuid sys_guid user current_user session_user system_user version database schema'
  ).split(' '),
);
/** They are asked for when they are wanted to take long. */
const SLOW = new Set(
  'sleep benchmark master_pos_wait master_gtid_wait source_pos_wait wait_for_executed_gtid_set'.split(' '),
);
/** Nodes that write, lock, or ask the session or change it, wherever they stand. */
const LEAVES_TRACE = new Set([
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'LockingClause',
  'IntoClause',
  'UserVariable',
  'VariableAssignment',
  'SystemVariable',
]);

/** Is nothing different after this query has run once more, or not at all, and nothing left that later statements ask for? When in doubt, no. */
export function leavesNoMysqlTrace(select: SelectStmt): boolean {
  let isTraceless = true;
  walk({ SelectStmt: select }, (kind, node) => {
    if (LEAVES_TRACE.has(kind)) isTraceless = false;
    if (kind === 'SelectStmt') isTraceless &&= isPlain(node);
    if (kind === 'FuncCall') isTraceless &&= isHarmless(node as FuncCall);
    return isTraceless ? undefined : 'skip';
  });
  return isTraceless;
}

/** SQL_CALC_FOUND_ROWS leaves a number behind, also in a part of a UNION. */
function isPlain(select: Readonly<Record<string, unknown>>): boolean {
  const options = (select['options'] ?? []) as readonly unknown[];
  const parts = [select['larg'], select['rarg']].filter((part) => part !== undefined);
  return (
    select['intoClause'] === undefined &&
    !options.includes('SQL_CALC_FOUND_ROWS') &&
    parts.every((part) => isPlain(part as Readonly<Record<string, unknown>>))
  );
}

/** A function of the user's own may do anything. */
function isHarmless(call: FuncCall): boolean {
  const { schema, name: written } = functionNameOf(call);
  const name = written.toLowerCase();
  if (schema !== undefined || !MYSQL_FUNCTIONS.has(name) || SLOW.has(name) || MYSQL_PINNING.has(name))
    return false;
  return !MYSQL_VOLATILE.has(name) || VOLATILE_WITHOUT_TRACE.has(name);
}
