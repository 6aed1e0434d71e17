import type { FuncCall } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { functionNameOf, walk } from '../sql/postgres-tree.js';
import type { Keyspace } from '../topology/keyspace.js';
import type { FunctionFacts } from './sql-dialect.js';

function names(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/));
}

const SEQUENCES = names('nextval setval currval lastval');
const SESSION_LOCKS = names(
  'pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all',
);
const TRANSACTION_LOCKS = names(
  'pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared',
);
const NOTIFICATIONS = names('pg_notify pg_listening_channels');
/** They run SQL that they get as text, or read tables by name. */
const READERS = names(
  'query_to_xml query_to_xmlschema query_to_xml_and_xmlschema table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml ' +
    'schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema ts_stat',
);
const VOLATILE = names(
  'now clock_timestamp statement_timestamp transaction_timestamp timeofday random random_normal gen_random_uuid uuidv4 uuidv7 ' +
    'uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 gen_random_bytes gen_salt nextval setval currval lastval txid_current pg_current_xact_id ' +
    'pg_backend_pid pg_current_wal_lsn inet_server_addr inet_server_port inet_client_port pg_postmaster_start_time setseed',
);
/** Of the functions named pg_…, those that are the same on every server. */
const SAME_EVERYWHERE = names(
  'pg_typeof pg_column_size pg_size_pretty pg_size_bytes pg_sleep pg_sleep_for pg_sleep_until pg_client_encoding',
);
const TIME_VALUES = names(
  'SVFOP_CURRENT_DATE SVFOP_CURRENT_TIME SVFOP_CURRENT_TIME_N SVFOP_CURRENT_TIMESTAMP SVFOP_CURRENT_TIMESTAMP_N SVFOP_LOCALTIME ' +
    'SVFOP_LOCALTIME_N SVFOP_LOCALTIMESTAMP SVFOP_LOCALTIMESTAMP_N',
);

/** Looks at every function call of a statement. Throws on those whose answer could be wrong on one shard. */
export function functionFacts(tree: unknown, keyspace: Keyspace): FunctionFacts {
  const facts: { -readonly [K in keyof FunctionFacts]: FunctionFacts[K] } = {
    home: undefined,
    pin: undefined,
    writes: false,
    volatile: undefined,
  };
  walk(tree, (kind, node) => {
    if (kind === 'SQLValueFunction' && TIME_VALUES.has(String(node['op'])))
      facts.volatile ??= 'CURRENT_TIMESTAMP';
    if (kind !== 'FuncCall') return undefined;
    const { schema, name } = functionNameOf(node as FuncCall);
    checkKnown(schema, name, keyspace);
    if (VOLATILE.has(name) || keyspace.volatileFunctions?.has(name)) facts.volatile ??= name;
    if (SESSION_LOCKS.has(name)) facts.pin = 'advisory lock';
    const isLargeObject = name.startsWith('lo_') || name === 'loread' || name === 'lowrite';
    if (
      SEQUENCES.has(name) ||
      SESSION_LOCKS.has(name) ||
      TRANSACTION_LOCKS.has(name) ||
      NOTIFICATIONS.has(name) ||
      isLargeObject
    )
      facts.home ??= name;
    if (name === 'nextval' || name === 'setval' || name === 'pg_notify' || isLargeObject) facts.writes = true;
    return undefined;
  });
  return facts;
}

/** Functions about the server itself: with no table in the statement they are asked of the home shard. */
export function asksTheServer(tree: unknown): boolean {
  let found = false;
  walk(tree, (kind, node) => {
    if (kind !== 'FuncCall') return undefined;
    const { name } = functionNameOf(node as FuncCall);
    if (
      (name.startsWith('pg_') || name.startsWith('txid_') || name.startsWith('to_reg')) &&
      !SAME_EVERYWHERE.has(name)
    )
      found = true;
    return undefined;
  });
  return found;
}

function checkKnown(schema: string | undefined, name: string, keyspace: Keyspace): void {
  if (READERS.has(name))
    throw unsupported(
      `${name}() reads tables that cannot be seen in the statement`,
      'Write the query itself, or say the shard by hand: /* ringferry: shard=NAME */.',
    );
  if (name === 'currval' || name === 'lastval')
    throw unsupported(
      `${name}() asks what the last nextval() of a connection gave, and connections are shared`,
      'Use INSERT … RETURNING, or keep what SELECT nextval(…) gave.',
    );
  if (name === 'set_config')
    throw unsupported('set_config() would change one shard only', 'Use SET or SET LOCAL.');
  const isBuiltin =
    keyspace.builtinFunctions.has(name.toLowerCase()) &&
    (schema === undefined || schema === 'pg_catalog' || schema === 'public');
  if (isBuiltin) return;
  throw unsupported(
    `function ${schema === undefined ? '' : `${schema}.`}${name}() is not one of the database's own, and what it reads or writes cannot be seen`,
    'Say where the statement goes by hand: /* ringferry: key=VALUE */ or /* ringferry: shard=NAME */; or mark the function IMMUTABLE if it reads no tables.',
  );
}
