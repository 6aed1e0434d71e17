import type { AlterTableStmt, CreateStmt, Node, RangeVar } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf, unwrap } from '../sql/postgres-tree.js';
import { Analysis, TOP } from './analysis.js';
import type { Draft } from './draft.js';
import { pinned } from './mysql-session-plan.js';
import { placeOf } from './postgres-ddl-plan.js';
import type { Statement } from './statement.js';

/** Objects that every shard has, since statements on any of them may need them. */
const SHARED_KINDS = new Set([
  'CreateRoleStmt',
  'AlterRoleStmt',
  'DropRoleStmt',
  'GrantStmt',
  'AlterDatabaseStmt',
  'DropTriggerStmt',
]);

/** DDL: on every shard where it is about tables that every shard has, else on the home shard. It ends the transaction in which it stands. */
export function planMysqlDdl(node: Node, statement: Statement): Draft {
  const [kind, fields] = unwrap(node);
  if ('CreatedbStmt' in node || 'DropdbStmt' in node) return planDatabase(node, statement);
  if ('CreateTableAsStmt' in node) return planCreateAs(node, statement);
  if ('CreateStmt' in node) {
    checkCreate(node.CreateStmt, statement);
    if (node.CreateStmt.relation?.relpersistence === 't') return pinned('temporary table');
  }
  if (kind === 'CreateSeqStmt' && (fields['sequence'] as RangeVar).relpersistence === 't')
    return pinned('temporary sequence');
  if (kind === 'DropStmt' && fields['isTemporary'] === true) return { placement: { type: 'home' } };
  if ('AlterTableStmt' in node) checkAlter(node.AlterTableStmt, statement);
  if (kind === 'RenameStmt') checkRename(fields, statement);
  const places = new Set(namedTables(kind, fields).map((range) => placeOf(range, statement)));
  const isOnEvery = places.has('sharded') || places.has('reference');
  if (isOnEvery && places.has('home'))
    throw unsupported(
      'one statement on sharded or reference tables and on tables of the home shard',
      'Use a statement for each table.',
    );
  const ddl = { access: 'ddl', isOutsideTransaction: true, commitsBefore: true } as const;
  if (isOnEvery)
    return {
      ...ddl,
      placement: { type: 'every' },
      usesSharded: places.has('sharded'),
      writesReference: places.has('reference'),
    };
  const isShared = SHARED_KINDS.has(kind) || isRoutine(kind, fields);
  return { ...ddl, placement: { type: isShared ? 'every' : 'home' } };
}

/** Functions and procedures may be called on any shard; events run on one. */
function isRoutine(kind: string, fields: Record<string, unknown>): boolean {
  if (kind === 'CreateFunctionStmt' || kind === 'AlterFunctionStmt') return fields['object'] !== 'event';
  return (
    kind === 'DropStmt' &&
    (fields['removeType'] === 'OBJECT_FUNCTION' || fields['removeType'] === 'OBJECT_PROCEDURE')
  );
}

function planDatabase(node: Node, statement: Statement): Draft {
  const [kind, fields] = unwrap(node);
  const name = String(fields['dbname'] ?? '');
  if (!statement.keyspace.searchPath.includes(name))
    return { access: 'ddl', placement: { type: 'home' }, isOutsideTransaction: true, commitsBefore: true };
  throw unsupported(
    `${kind === 'DropdbStmt' ? 'DROP' : 'CREATE'} DATABASE ${name}, which is sharded`,
    'Do it on each server.',
  );
}

function namedTables(kind: string, fields: Record<string, unknown>): RangeVar[] {
  if (kind === 'ViewStmt') return [fields['view'] as RangeVar];
  if (SHARED_KINDS.has(kind) || isRoutine(kind, fields)) return [];
  if (kind === 'DropStmt')
    return ((fields['objects'] ?? []) as Node[]).map((object) => {
      const names = 'List' in object ? namesOf(object.List.items) : [];
      return {
        relname: names.at(-1) ?? '',
        ...(names.length > 1 ? { schemaname: names.at(-2)! } : {}),
      };
    });
  const single = [fields['relation'], fields['sequence']].filter(
    (range): range is RangeVar => typeof range === 'object' && range !== null && 'relname' in range,
  );
  const listed = ((fields['relations'] ?? []) as Node[]).flatMap((entry) =>
    'RangeVar' in entry ? [entry.RangeVar] : [],
  );
  return [...single, ...listed];
}

function planCreateAs(node: Node & { CreateTableAsStmt: object }, statement: Statement): Draft {
  const { query, into } = node.CreateTableAsStmt as { query?: Node; into?: { rel?: RangeVar } };
  if (query !== undefined && 'SelectStmt' in query) {
    statement.dialect.functionFacts(query, statement.keyspace);
    const { shape } = new Analysis(statement).query(query.SelectStmt, TOP);
    if (shape.type === 'spread' || shape.type === 'pinned')
      throw unsupported(
        'CREATE TABLE … SELECT of sharded tables',
        'Create the table first, then insert into it.',
      );
  }
  const relation = into?.rel ?? {};
  if (placeOf(relation, statement) !== 'home')
    throw unsupported(
      `CREATE TABLE … SELECT of configured table "${relation.relname}"`,
      'Use CREATE TABLE, then INSERT.',
    );
  return relation.relpersistence === 't'
    ? pinned('temporary table')
    : { placement: { type: 'home' }, access: 'ddl', isOutsideTransaction: true, commitsBefore: true };
}

function checkCreate(create: CreateStmt, statement: Statement): void {
  const relation = create.relation ?? {};
  const name = relation.relname ?? '';
  if (relation.relpersistence === 't') {
    const shadowed = statement.find(relation)?.placement;
    if (shadowed === 'sharded' || shadowed === 'reference')
      throw unsupported(
        `a temporary table with the name of ${shadowed} table "${name}"`,
        'Give it another name.',
      );
    return;
  }
  const { missing, searchPath, foldsTableNames } = statement.keyspace;
  const { fold } = statement.dialect;
  const full = `${relation.schemaname ?? searchPath[0] ?? ''}.${name}`;
  const wanted = missing?.get(foldsTableNames === true ? full.toLowerCase() : full);
  if (wanted?.key === undefined) return;
  const { key } = wanted;
  const hasKey = (create.tableElts ?? []).some(
    (element) =>
      'TableLikeClause' in element ||
      ('ColumnDef' in element && fold(element.ColumnDef.colname ?? '') === fold(key)),
  );
  if (!hasKey)
    throw unsupported(
      `CREATE TABLE "${name}" without "${key}", its shard key in the configuration`,
      `Add a column "${key}", or change the configuration.`,
    );
}

/** A new type or collation would give keys another canonical text. */
function checkAlter(alter: AlterTableStmt, statement: Statement): void {
  const table = alter.relation === undefined ? undefined : statement.find(alter.relation);
  if (table?.key === undefined) return;
  const { fold } = statement.dialect;
  for (const node of alter.cmds ?? []) {
    const command = 'AlterTableCmd' in node ? node.AlterTableCmd : undefined;
    const subtype = String(command?.subtype ?? '');
    const isKey = fold(command?.name ?? '') === fold(table.key.column);
    const changes =
      subtype === 'AT_ConvertCharset' ||
      subtype === 'AT_ExchangePartition' ||
      (isKey && (subtype === 'AT_DropColumn' || subtype === 'AT_AlterColumnType'));
    if (changes)
      throw unsupported(
        `a change of "${table.key.column}", the shard key of "${table.name}"`,
        'Its rows would no longer be where they belong. Make a new table and move the rows.',
      );
  }
}

function checkRename(fields: Record<string, unknown>, statement: Statement): void {
  const table = fields['relation'] === undefined ? undefined : statement.find(fields['relation'] as RangeVar);
  if (table === undefined || table.placement === 'home') return;
  const { fold } = statement.dialect;
  const isKey = table.key !== undefined && fold(String(fields['subname'] ?? '')) === fold(table.key.column);
  if (fields['renameType'] === 'OBJECT_TABLE' || isKey)
    throw unsupported(
      `renaming ${isKey ? `"${table.key!.column}" of ` : ''}${table.placement} table "${table.name}", which the configuration names`,
      'Stop Ringferry, rename it on every shard and in the configuration.',
    );
}
