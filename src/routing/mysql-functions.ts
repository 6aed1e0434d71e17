import type { FuncCall } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { functionNameOf, walk } from '../sql/postgres-tree.js';
import type { Keyspace } from '../topology/keyspace.js';
import {
  MYSQL_AGGREGATES,
  MYSQL_HOME,
  MYSQL_PINNING,
  MYSQL_SERVER,
  MYSQL_VOLATILE,
} from './mysql-function-names.js';
import type { SessionState } from './plan.js';
import type { FunctionFacts } from './sql-dialect.js';

export function isMysqlAggregate(call: FuncCall): boolean {
  return MYSQL_AGGREGATES.has(functionNameOf(call).name.toLowerCase());
}

/** Looks at every function call and variable of a statement. Throws on functions whose answer could be wrong on one shard. */
export function mysqlFunctionFacts(tree: unknown, keyspace: Keyspace): FunctionFacts {
  const facts: { -readonly [K in keyof FunctionFacts]: FunctionFacts[K] } = {
    home: undefined,
    pin: undefined,
    writes: false,
    volatile: undefined,
  };
  walk(tree, (kind, node) => {
    if (kind === 'UserVariable' || kind === 'VariableAssignment') {
      // They live in one server's session.
      facts.home ??= `@${String(node['name'])}`;
      facts.volatile ??= `@${String(node['name'])}`;
      facts.pin ??= 'user variable';
    }
    if (kind === 'SystemVariable') facts.volatile ??= `@@${String(node['name'])}`;
    if (kind !== 'FuncCall') return undefined;
    const { schema, name: written } = functionNameOf(node as FuncCall);
    const name = written.toLowerCase();
    checkKnown(schema, name, keyspace);
    if (MYSQL_VOLATILE.has(name)) facts.volatile ??= name;
    if (MYSQL_HOME.has(name)) facts.home ??= name;
    facts.pin ??= MYSQL_PINNING.get(name);
    if (name === 'nextval' || name === 'setval') facts.writes = true;
    return undefined;
  });
  return facts;
}

function checkKnown(schema: string | undefined, name: string, keyspace: Keyspace): void {
  if (schema === undefined && keyspace.builtinFunctions.has(name)) return;
  throw unsupported(
    `function ${schema === undefined ? '' : `${schema}.`}${name}() is not one of the database's own, and what it reads or writes cannot be seen`,
    'Say where the statement goes by hand: /* ringferry: key=VALUE */ or /* ringferry: shard=NAME */.',
  );
}

/** Functions and variables of the server or the session itself. */
export function asksTheMysqlServer(tree: unknown): boolean {
  let found = false;
  walk(tree, (kind, node) => {
    if (kind === 'SystemVariable' || kind === 'UserVariable') found = true;
    if (kind === 'FuncCall' && MYSQL_SERVER.has(functionNameOf(node as FuncCall).name.toLowerCase()))
      found = true;
    return undefined;
  });
  return found;
}

const STATE_FUNCTIONS: Readonly<Record<string, SessionState>> = {
  last_insert_id: 'last-insert-id',
  row_count: 'row-count',
  found_rows: 'found-rows',
  connection_id: 'connection-id',
};
const STATE_VARIABLES: Readonly<Record<string, SessionState>> = {
  last_insert_id: 'last-insert-id',
  identity: 'last-insert-id',
  warning_count: 'warnings',
  error_count: 'warnings',
  autocommit: 'autocommit',
};

/** A statement that asks for several is of the first of these: what cannot be told elsewhere decides. */
const STATES: readonly SessionState[] = [
  'row-count',
  'found-rows',
  'warnings',
  'autocommit',
  'given-insert-id',
  'last-insert-id',
  'connection-id',
];

/** What the statement asks of what the session did before, or leaves for later ones beside what its answer tells. */
export function sessionStateOf(tree: unknown): SessionState | undefined {
  const found = new Set<SessionState | undefined>();
  walk(tree, (kind, node) => {
    if (kind === 'SystemVariable') found.add(STATE_VARIABLES[String(node['name']).toLowerCase()]);
    if (kind !== 'FuncCall') return undefined;
    const call = node as FuncCall;
    const state = STATE_FUNCTIONS[functionNameOf(call).name.toLowerCase()];
    if ((call.args ?? []).length === 0) found.add(state);
    else if (state === 'last-insert-id') found.add('given-insert-id');
    return undefined;
  });
  return STATES.find((state) => found.has(state));
}
