import type { CopyStmt, Node, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf } from '../sql/postgres-tree.js';
import type { Table } from '../topology/keyspace.js';
import { Analysis, TOP } from './analysis.js';
import { type Draft, placementOf } from './draft.js';
import { FOR_ALL } from './incoming-rows.js';
import type { CopyPlan } from './plan.js';
import { CopyRows } from './postgres-copy-rows.js';
import { functionFacts } from './postgres-functions.js';
import { planSpread } from './spread-plan.js';
import type { Statement } from './statement.js';

export function planCopy(copy: CopyStmt, statement: Statement): Draft {
  if (copy.query !== undefined) return planCopyQuery(copy, copy.query, statement);
  const relation = copy.relation!;
  const table = statement.find(relation);
  const direction = copy.is_from === true ? 'in' : 'out';
  const access = direction === 'in' ? 'write' : 'read';
  const isProtocol = copy.filename === undefined && copy.is_program !== true;
  if (table === undefined || table.placement === 'home') {
    return {
      access,
      placement: { type: 'home' },
      copy: isProtocol ? copyPlan(copy, direction, undefined) : undefined,
    };
  }
  if (!isProtocol)
    throw unsupported(
      `COPY of ${table.placement} table "${table.name}" from or to a file of the server`,
      'Use COPY … FROM STDIN or TO STDOUT (psql: \\copy).',
    );
  statement.used.add(table);
  const facts = copyPlan(copy, direction, table);
  if (direction === 'in') checkColumns(copy, table);
  if (table.placement === 'reference') {
    if (direction === 'out') return { access, placement: { type: 'anywhere' }, copy: facts };
    const incoming = { keyType: undefined, cut: () => FOR_ALL };
    return { access, placement: { type: 'every' }, copy: facts, incoming, writesReference: true };
  }
  if (facts.format === 'binary')
    throw unsupported(`binary COPY of sharded table "${table.name}"`, 'Use the text or csv format.');
  if (direction === 'in') {
    const { keyType } = facts;
    const incoming = { keyType, cut: (maxRowBytes: number) => new CopyRows(facts, maxRowBytes) };
    return { access, placement: { type: 'every' }, copy: facts, incoming, usesSharded: true };
  }
  const star: Node = { ColumnRef: { fields: [{ A_Star: {} }] } };
  const columns = (copy.attlist ?? []).map((column): Node => ({ ColumnRef: { fields: [column] } }));
  const query: Node = {
    SelectStmt: {
      targetList: (columns.length > 0 ? columns : [star]).map((val) => ({ ResTarget: { val } })),
      fromClause: [{ RangeVar: relation }],
      limitOption: 'LIMIT_OPTION_DEFAULT',
      op: 'SETOP_NONE',
    },
  };
  statement.use(relation, table);
  const { relation: _r, attlist: _a, ...rest } = copy;
  return {
    access,
    placement: { type: 'every' },
    copy: facts,
    usesSharded: true,
    recipe: { tree: { CopyStmt: { ...rest, query } }, isChanged: false, target: undefined },
  };
}

function planCopyQuery(copy: CopyStmt, query: Node, statement: Statement): Draft {
  if (!('SelectStmt' in query))
    throw unsupported('COPY of a statement that is not a SELECT', 'Run the statement itself.');
  if (copy.filename !== undefined || copy.is_program === true)
    throw unsupported('COPY of a query to a file of the server', 'Use TO STDOUT.');
  const analysis = new Analysis(statement);
  const functions = functionFacts(query, statement.keyspace);
  const select: SelectStmt = query.SelectStmt;
  const isSetOperation = (select.op ?? 'SETOP_NONE') !== 'SETOP_NONE';
  const inside = analysis.withQueries(select.withClause, TOP);
  const level = isSetOperation ? undefined : analysis.level(select, inside.env);
  const shape = level?.shape ?? analysis.query(select, TOP).shape;
  const facts = copyPlan(copy, 'out', undefined);
  const placement = placementOf(shape, functions);
  if (placement !== undefined)
    return { access: 'read', placement, copy: facts, usesSharded: statement.usesSharded };
  if (facts.format === 'binary')
    throw unsupported('binary COPY from several shards', 'Use the text or csv format.');
  const { merge } = planSpread(select, level!, statement);
  if (
    merge.groupBy !== undefined ||
    merge.distinct ||
    merge.orderBy.length > 0 ||
    merge.limit !== undefined ||
    merge.offset !== undefined
  ) {
    throw unsupported(
      'COPY of a query whose rows of several shards must be merged',
      'Leave out ORDER BY, LIMIT, DISTINCT and aggregates, or run the SELECT itself.',
    );
  }
  const pins = shape.type === 'spread' ? shape.pins : undefined;
  const where =
    pins === undefined || shape.type !== 'spread'
      ? ({ type: 'every' } as const)
      : ({ type: 'keys', keyType: shape.keyType, keys: pins } as const);
  return {
    access: 'read',
    placement: where,
    copy: facts,
    usesSharded: true,
    recipe: { tree: { CopyStmt: copy }, isChanged: false, target: undefined },
  };
}

/** Columns that COPY leaves out get their defaults, which must not differ or collide between shards. */
function checkColumns(copy: CopyStmt, table: Table): void {
  const names = columnNames(copy, table);
  if (table.key !== undefined && !names.includes(table.key.column)) {
    throw unsupported(
      `COPY into sharded table "${table.name}" without its shard key "${table.key.column}"`,
      `Add "${table.key.column}" to the column list.`,
    );
  }
  for (const column of table.columns) {
    if (names.includes(column.name)) continue;
    if (column.isSequenceFilled)
      throw unsupported(
        `COPY into "${table.name}" without "${column.name}", which a sequence of each shard would fill`,
        `Add "${column.name}" to the columns.`,
      );
    if (table.placement === 'reference' && column.isDefaultVolatile === true)
      throw unsupported(
        `COPY into reference table "${table.name}" without "${column.name}", which would get another default on each shard`,
        `Add "${column.name}" to the columns.`,
      );
  }
}

function columnNames(copy: CopyStmt, table: Table): string[] {
  const listed = namesOf(copy.attlist);
  return listed.length > 0
    ? listed
    : table.columns.filter((column) => !column.isGenerated).map((column) => column.name);
}

function copyPlan(copy: CopyStmt, direction: 'in' | 'out', table: Table | undefined): CopyPlan {
  const options = new Map<string, string>();
  for (const node of copy.options ?? [])
    if ('DefElem' in node) options.set(node.DefElem.defname ?? '', optionText(node.DefElem.arg));
  const format = options.get('format') ?? 'text';
  if (format !== 'text' && format !== 'csv' && format !== 'binary')
    throw unsupported(`COPY format "${format}"`);
  if (table?.placement === 'sharded') {
    const encoding = (options.get('encoding') ?? 'utf8').toLowerCase().replace('-', '');
    if (encoding !== 'utf8')
      throw unsupported(`COPY of a sharded table in encoding "${encoding}"`, 'Use UTF8.');
    if (direction === 'in' && options.has('force_null'))
      throw unsupported('FORCE_NULL in COPY into a sharded table', 'Leave it out.');
    if (direction === 'in' && options.has('default'))
      throw unsupported('DEFAULT in COPY into a sharded table', 'Write the values out.');
  }
  const quote = options.get('quote') ?? '"';
  return {
    direction,
    format,
    keyColumn: table?.key === undefined ? -1 : columnNames(copy, table).indexOf(table.key.column),
    keyType: table?.key?.type,
    ...(table?.key?.maxLength === undefined ? {} : { maxKeyLength: table.key.maxLength }),
    delimiter: options.get('delimiter') ?? (format === 'csv' ? ',' : '\t'),
    nullText: options.get('null') ?? (format === 'csv' ? '' : '\\N'),
    hasHeader: ['', 'true', 'on', '1', 'match'].includes((options.get('header') ?? 'false').toLowerCase()),
    quote,
    escape: options.get('escape') ?? quote,
  };
}

/** An option's value as text; '' when it stands without one. */
function optionText(arg: Node | undefined): string {
  if (arg === undefined) return '';
  if ('String' in arg) return arg.String.sval ?? '';
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0);
  if ('Boolean' in arg) return String(arg.Boolean.boolval ?? false);
  return 'true';
}
