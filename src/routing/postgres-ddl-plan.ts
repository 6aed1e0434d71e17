import type { AlterTableStmt, CreateStmt, Node, RangeVar } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf, unwrap } from '../sql/postgres-tree.js';
import type { Draft } from './draft.js';
import { pinned } from './postgres-session-plan.js';
import type { Statement } from './statement.js';

export type Placed = 'sharded' | 'reference' | 'home';

/** Objects that tables of every shard may need: made and dropped on all of them. */
const SHARED_OBJECTS = new Set([
  'OBJECT_SCHEMA',
  'OBJECT_TYPE',
  'OBJECT_DOMAIN',
  'OBJECT_DOMCONSTRAINT',
  'OBJECT_EXTENSION',
  'OBJECT_FUNCTION',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
  'OBJECT_AGGREGATE',
  'OBJECT_OPERATOR',
  'OBJECT_OPCLASS',
  'OBJECT_OPFAMILY',
  'OBJECT_COLLATION',
  'OBJECT_CAST',
  'OBJECT_SEQUENCE',
  'OBJECT_ROLE',
  'OBJECT_TSCONFIGURATION',
  'OBJECT_TSDICTIONARY',
  'OBJECT_TSPARSER',
  'OBJECT_TSTEMPLATE',
  'OBJECT_ATTRIBUTE',
  'OBJECT_LANGUAGE',
]);
const SHARED_KINDS = new Set([
  'CreateSchemaStmt',
  'CreateEnumStmt',
  'AlterEnumStmt',
  'AlterTypeStmt',
  'CompositeTypeStmt',
  'CreateRangeStmt',
  'CreateDomainStmt',
  'AlterDomainStmt',
  'CreateExtensionStmt',
  'AlterExtensionStmt',
  'AlterExtensionContentsStmt',
  'CreateFunctionStmt',
  'AlterFunctionStmt',
  'DefineStmt',
  'CreateCastStmt',
  'CreateOpClassStmt',
  'CreateOpFamilyStmt',
  'CreateRoleStmt',
  'AlterRoleStmt',
  'AlterRoleSetStmt',
  'DropRoleStmt',
  'GrantRoleStmt',
  'CreateSeqStmt',
  'AlterSeqStmt',
  'AlterDefaultPrivilegesStmt',
  'DropOwnedStmt',
  'ReassignOwnedStmt',
  'AlterOperatorStmt',
  'AlterCollationStmt',
]);
const OUTSIDE_KINDS = new Set([
  'VacuumStmt',
  'CreatedbStmt',
  'DropdbStmt',
  'AlterSystemStmt',
  'CreateTableSpaceStmt',
  'DropTableSpaceStmt',
  'CreateSubscriptionStmt',
  'DropSubscriptionStmt',
]);
/** Objects that DROP and COMMENT name behind their table: `DROP TRIGGER t ON table` gives [table, t]. */
const OBJECTS_ON_TABLES = new Set([
  'OBJECT_TRIGGER',
  'OBJECT_POLICY',
  'OBJECT_RULE',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_COLUMN',
]);

/** DDL and the like: on every shard where it is about tables that every shard has, else on the home shard. */
export function planDdl(node: Node, statement: Statement): Draft {
  const [kind, fields] = unwrap(node);
  if ('DoStmt' in node || 'CallStmt' in node) {
    throw unsupported(
      `${kind === 'DoStmt' ? 'DO' : 'CALL'}, whose body cannot be seen`,
      'Say the shard by hand: /* ringferry: key=VALUE */ or /* ringferry: shard=NAME */.',
    );
  }
  const isTemporary = (fields['relation'] as RangeVar | undefined)?.relpersistence === 't';
  if ('CreateStmt' in node) checkCreate(node.CreateStmt, statement);
  if ('CreateStmt' in node && isTemporary) return pinned('temporary table');
  if ('AlterTableStmt' in node) checkAlter(node.AlterTableStmt, statement);
  if ('RenameStmt' in node) checkRename(fields, statement);
  const isOutsideTransaction = OUTSIDE_KINDS.has(kind) || isConcurrent(kind, fields);
  const places = new Set(namedTables(kind, fields).map((range) => placeOf(range, statement)));
  const access =
    kind === 'TruncateStmt' || kind === 'LockStmt' ? 'write' : kind === 'VacuumStmt' ? 'none' : 'ddl';
  const isOnEvery = places.has('sharded') || places.has('reference');
  const elsewhere = isOnEvery && places.has('home') ? withoutHomeTables(node, statement) : undefined;
  if (isOnEvery && places.has('home') && elsewhere === undefined)
    throw unsupported(
      'one statement on sharded or reference tables and on tables of the home shard',
      'Use a statement for each table.',
    );
  if (isOnEvery)
    return {
      access,
      placement: { type: 'every' },
      usesSharded: places.has('sharded'),
      writesReference: places.has('reference'),
      isOutsideTransaction,
      ...(elsewhere === undefined
        ? {}
        : { recipe: { tree: node, isChanged: false, target: undefined, elsewhere } }),
    };
  const isShared =
    places.size === 0 && (SHARED_KINDS.has(kind) || SHARED_OBJECTS.has(objectType(fields)) || isWhole(kind));
  return { access, placement: { type: isShared ? 'every' : 'home' }, isOutsideTransaction };
}

/** TRUNCATE and DROP TABLE of tables that every shard has and of tables at home: what the other shards have of it. */
function withoutHomeTables(node: Node, statement: Statement): Node | undefined {
  const isElsewhere = (range: RangeVar) => placeOf(range, statement) !== 'home';
  if ('TruncateStmt' in node) {
    const relations = node.TruncateStmt.relations?.filter((item) => rangesIn([item]).some(isElsewhere)) ?? [];
    return { TruncateStmt: { ...node.TruncateStmt, relations } };
  }
  if (!('DropStmt' in node) || node.DropStmt.removeType !== 'OBJECT_TABLE') return undefined;
  const objects = node.DropStmt.objects?.filter((object) =>
    rangeOfNames('List' in object ? namesOf(object.List.items) : [], false).some(isElsewhere),
  );
  return { DropStmt: { ...node.DropStmt, objects: objects ?? [] } };
}

/** VACUUM, ANALYZE or GRANT … ON ALL TABLES without a table of their own. */
function isWhole(kind: string): boolean {
  return kind === 'VacuumStmt' || kind === 'GrantStmt' || kind === 'ReindexStmt';
}

function objectType(fields: Record<string, unknown>): string {
  return String(
    fields['removeType'] ?? fields['renameType'] ?? fields['objectType'] ?? fields['objtype'] ?? '',
  );
}

function isConcurrent(kind: string, fields: Record<string, unknown>): boolean {
  if (fields['concurrent'] === true) return true;
  const params = (fields['params'] ?? []) as { DefElem?: { defname?: string } }[];
  if (kind !== 'ReindexStmt') return false;
  return (
    params.some((param) => param.DefElem?.defname === 'concurrently') ||
    String(fields['kind']).endsWith('DATABASE') ||
    String(fields['kind']).endsWith('SYSTEM') ||
    String(fields['kind']).endsWith('SCHEMA')
  );
}

/** Where a table, index or sequence lives, or will live when it is made. */
export function placeOf(range: RangeVar, statement: Statement): Placed {
  const found = statement.find(range)?.placement;
  if (found !== undefined) return found;
  const { missing, objects, searchPath } = statement.keyspace;
  for (const schema of range.schemaname === undefined ? searchPath : [range.schemaname]) {
    const name = `${schema}.${range.relname ?? ''}`;
    const place = missing?.get(name)?.placement ?? objects?.get(name);
    if (place !== undefined) return place;
  }
  return 'home';
}

/** The tables (indexes, owned sequences) that a statement is about; not those that a view's query reads. */
function namedTables(kind: string, fields: Record<string, unknown>): RangeVar[] {
  if (kind === 'ViewStmt') return [fields['view'] as RangeVar];
  const single = [fields['relation'], fields['table']].filter(
    (range): range is RangeVar => typeof range === 'object' && range !== null && 'relname' in range,
  );
  const parents =
    kind === 'CreateStmt'
      ? rangesIn((fields['partbound'] === undefined ? [] : fields['inhRelations']) as Node[] | undefined)
      : [];
  if (kind === 'CreateSeqStmt' || kind === 'AlterSeqStmt') return ownersIn(fields);
  if (kind === 'VacuumStmt')
    return ((fields['rels'] ?? []) as { VacuumRelation?: { relation?: RangeVar } }[]).flatMap((entry) =>
      entry.VacuumRelation?.relation ? [entry.VacuumRelation.relation] : [],
    );
  const type = objectType(fields);
  if (kind === 'DropStmt' || kind === 'CommentStmt' || kind === 'SecLabelStmt') {
    if (SHARED_OBJECTS.has(type) && type !== 'OBJECT_SEQUENCE') return [];
    const objects = (kind === 'DropStmt' ? fields['objects'] : [fields['object']]) as Node[];
    return (objects ?? []).flatMap((object) =>
      rangeOfNames('List' in object ? namesOf(object.List.items) : [], OBJECTS_ON_TABLES.has(type)),
    );
  }
  if (
    kind === 'GrantStmt' &&
    (fields['targtype'] !== 'ACL_TARGET_OBJECT' || (type !== 'OBJECT_TABLE' && type !== 'OBJECT_SEQUENCE'))
  )
    return [];
  if (SHARED_KINDS.has(kind) || kind === 'CreateTableAsStmt') return [];
  return [
    ...single,
    ...parents,
    ...rangesIn((fields['relations'] ?? fields['objects']) as Node[] | undefined),
  ];
}

function rangesIn(nodes: readonly Node[] | undefined): RangeVar[] {
  return (nodes ?? []).flatMap((node) => ('RangeVar' in node ? [node.RangeVar] : []));
}

/** OWNED BY table.column of a sequence. */
function ownersIn(fields: Record<string, unknown>): RangeVar[] {
  for (const option of (fields['options'] ?? []) as Node[]) {
    if (
      !('DefElem' in option) ||
      option.DefElem.defname !== 'owned_by' ||
      option.DefElem.arg === undefined ||
      !('List' in option.DefElem.arg)
    )
      continue;
    const names = namesOf(option.DefElem.arg.List.items);
    if (names.length > 1) return rangeOfNames(names, true);
  }
  return [];
}

function rangeOfNames(names: readonly string[], isBelowTable: boolean): RangeVar[] {
  const own = isBelowTable ? names.slice(0, -1) : names;
  const relname = own.at(-1);
  if (relname === undefined) return [];
  return [own.length > 1 ? { schemaname: own.at(-2)!, relname } : { relname }];
}

function checkCreate(create: CreateStmt, statement: Statement): void {
  const name = create.relation?.relname ?? '';
  if (create.relation?.relpersistence === 't') {
    const shadowed = statement.find(create.relation)?.placement;
    if (shadowed === 'sharded' || shadowed === 'reference')
      throw unsupported(
        `a temporary table with the name of ${shadowed} table "${name}"`,
        'Give it another name.',
      );
    return;
  }
  const { missing, searchPath } = statement.keyspace;
  for (const schema of create.relation?.schemaname === undefined
    ? searchPath.slice(0, 1)
    : [create.relation.schemaname]) {
    const wanted = missing?.get(`${schema}.${name}`);
    if (
      wanted?.key === undefined ||
      create.partbound !== undefined ||
      create.ofTypename !== undefined ||
      (create.inhRelations ?? []).length > 0
    )
      continue;
    const elements = create.tableElts ?? [];
    if (
      elements.some(
        (element) =>
          'TableLikeClause' in element ||
          ('ColumnDef' in element && element.ColumnDef.colname === wanted.key),
      )
    )
      continue;
    throw unsupported(
      `CREATE TABLE "${name}" without "${wanted.key}", its shard key in the configuration`,
      `Add a column "${wanted.key}", or change the configuration.`,
    );
  }
}

const KEY_CHANGES = new Set(['AT_DropColumn', 'AT_AlterColumnType']);

function checkAlter(alter: AlterTableStmt, statement: Statement): void {
  const table = alter.relation === undefined ? undefined : statement.find(alter.relation);
  if (table?.key === undefined) return;
  for (const command of alter.cmds ?? []) {
    if (
      !('AlterTableCmd' in command) ||
      !KEY_CHANGES.has(command.AlterTableCmd.subtype ?? '') ||
      command.AlterTableCmd.name !== table.key.column
    )
      continue;
    throw unsupported(
      `a change of "${table.key.column}", the shard key of "${table.name}"`,
      'Its rows would no longer be where they belong. Make a new table and move the rows.',
    );
  }
}

function checkRename(fields: Record<string, unknown>, statement: Statement): void {
  const table = fields['relation'] === undefined ? undefined : statement.find(fields['relation'] as RangeVar);
  if (table === undefined || table.placement === 'home') return;
  const type = objectType(fields);
  if (type === 'OBJECT_TABLE' || (type === 'OBJECT_COLUMN' && fields['subname'] === table.key?.column)) {
    throw unsupported(
      `renaming ${type === 'OBJECT_TABLE' ? '' : `"${table.key?.column}" of `}${table.placement} table "${table.name}", which the configuration names`,
      'Stop Ringferry, rename it on every shard and in the configuration.',
    );
  }
}
