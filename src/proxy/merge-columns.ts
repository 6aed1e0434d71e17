import { unsupported } from '../lib/errors.js';
import type { ResultColumn, RowFields } from '../pool/backend.js';
import type { Merge, MergeColumn, MergeOrder, TextWeight } from '../routing/plan.js';
import type { ComparableType, MergeValues } from './merge-values.js';

/** Shard columns that the merge computes with: they come as text, so that the client's wishes do not matter. */
function computedColumns(merge: Merge): Set<number> {
  const computed = new Set<number>();
  const add = (column: MergeColumn) => {
    if (column.type === 'count' || column.type === 'sum') computed.add(column.column);
    if (column.type === 'avg') {
      computed.add(column.sum).add(column.count);
      if (column.like !== undefined) computed.add(column.like);
    }
  };
  merge.output.forEach(add);
  for (const order of merge.orderBy) if (order.value !== undefined) add(order.value);
  merge.having?.values.forEach(add);
  return computed;
}

/** Formats to ask the shards for, made from the client's formats for the columns that it sees; as in Bind: none, one for all, or one each. */
export function shardFormats(
  merge: Merge,
  clientFormats: readonly number[],
  { mixesFormats }: Pick<MergeValues, 'mixesFormats'>,
): number[] {
  if (clientFormats.length === 0 || clientFormats.every((format) => format === 0)) return [];
  const rest = merge.output.find((column) => column.type === 'rest');
  if (rest !== undefined) {
    const hidden = rest.from;
    return clientFormats.length === 1 || !mixesFormats
      ? [...clientFormats]
      : [...Array<number>(hidden).fill(0), ...clientFormats];
  }
  const computed = computedColumns(merge);
  const formats: number[] = [];
  const wish = (column: number, format: number) => {
    if (computed.has(column)) return;
    if (formats[column] !== undefined && formats[column] !== format)
      throw unsupported(
        'the same column in two formats over several shards',
        'Ask for one format for all columns.',
      );
    formats[column] = format;
  };
  merge.output.forEach((column, index) => {
    if ('column' in column)
      wish(column.column, clientFormats.length === 1 ? clientFormats[0]! : (clientFormats[index] ?? 0));
  });
  const count = Math.max(-1, ...usedColumns(merge)) + 1;
  if (!mixesFormats) return Array<number>(count).fill(1);
  return Array.from({ length: count }, (_, column) => formats[column] ?? 0);
}

function usedColumns(merge: Merge): number[] {
  const used: number[] = [...(merge.groupBy ?? [])];
  const add = (column: MergeColumn) => {
    if ('column' in column) used.push(column.column);
    if (column.type === 'avg') used.push(column.sum, column.count, column.like ?? column.sum);
  };
  merge.output.forEach(add);
  merge.having?.values.forEach(add);
  for (const order of merge.orderBy) {
    if (order.value !== undefined) add(order.value);
    else used.push(order.column);
  }
  return used;
}

/** What the client is told about the columns. `columns` are those of one shard. */
export function outputColumns(
  merge: Merge,
  columns: readonly ResultColumn[],
  values: MergeValues,
): ResultColumn[] {
  const output = merge.output.flatMap((made): ResultColumn[] => {
    if (made.type === 'rest') return columns.slice(made.from);
    if (made.type !== 'avg') return [withCast(columnAt(columns, made.column), made, values)];
    const sum = columnAt(columns, made.sum);
    const averager = values.averager(sum.typeOid);
    if (averager === undefined) throw cannotAverage(sum.typeOid);
    if (made.like !== undefined) return [columnAt(columns, made.like)];
    const typed = {
      ...sum,
      typeOid: averager.typeOid,
      typeSize: values.sizeOf(averager.typeOid),
      typeModifier: -1,
    };
    return [withCast(typed, made, values)];
  });
  const { names } = merge;
  if (names === undefined) return output;
  return output.map((column, index) => {
    const name = names[index];
    return name === undefined || name === column.name ? column : values.renamed(column, name);
  });
}

function withCast(column: ResultColumn, made: MergeColumn, values: MergeValues): ResultColumn {
  if (!('cast' in made) || made.cast === undefined) return column;
  return { ...column, ...values.typeOfCast(made.cast), typeModifier: -1 };
}

export function columnAt(columns: readonly ResultColumn[], index: number): ResultColumn {
  const column = columns[index];
  if (column === undefined)
    throw unsupported('an answer with other columns than were planned', 'The schema has changed: try again.');
  return column;
}

export function cannotAverage(typeOid: number): Error {
  return unsupported(
    `avg over several shards of values whose sum has type ${typeOid}`,
    'Cast the argument to numeric or double precision.',
  );
}

/** What a merge knows of the shards' columns. */
export interface Described {
  readonly merge: Merge;
  readonly columns: readonly ResultColumn[];
  readonly values: MergeValues;
}

/** The type of a column that is to be compared. Throws `unsupported` for types whose order or equality we do not know. */
function comparableAt({ merge, columns, values }: Described, index: number, what: string): ComparableType {
  const column = columnAt(columns, index);
  const labels = merge.enums?.get(index);
  const comparable = labels === undefined ? values.comparable(column.typeOid) : values.enumOf(labels);
  if (comparable !== undefined) return comparable;
  throw unsupported(
    `${what} of values of type ${column.typeOid} over several shards`,
    'Cast it to text with COLLATE "C", or to a number or date; or give the shard key one value.',
  );
}

/** How the values of one shard column are had from a row, and compared. */
export interface ColumnReader {
  /** undefined for NULL. */
  read(fields: RowFields): unknown;
  compare(a: unknown, b: unknown): number;
  keyOf(value: unknown): string;
  /** Text of which only the bytes are known. */
  readonly isCollated: boolean;
}

/** `format`: in which the column comes. Throws `unsupported` for types whose order or equality we do not know. */
export function readerAt(described: Described, index: number, what: string, format: number): ColumnReader {
  const { merge, columns, values } = described;
  const type = comparableAt(described, index, what);
  const weight = merge.weights?.get(index);
  const { weighed } = values;
  if (
    weight !== undefined &&
    weighed !== undefined &&
    type.isCollated &&
    weighed.applies(columnAt(columns, index))
  )
    return {
      read: (fields) =>
        fields[index] === undefined ? undefined : weighed.decode(...weightOf(fields, weight)),
      compare: weighed.compare,
      keyOf: weighed.keyOf,
      isCollated: false,
    };
  return {
    read: (fields) => {
      const bytes = fields[index];
      return bytes === undefined ? undefined : type.decode(bytes, format);
    },
    compare: (a, b) => type.compare(a, b),
    keyOf: (value) => type.keyOf(value),
    isCollated: type.isCollated,
  };
}

/** A text that is the same for rows that are equal in these columns. */
export function rowKey(readers: readonly ColumnReader[], fields: RowFields): string {
  return readers
    .map((reader) => {
      const value = reader.read(fields);
      if (value === undefined) return '-';
      const key = reader.keyOf(value);
      return `${key.length}:${key}`;
    })
    .join('');
}

function weightOf(fields: RowFields, { weight, blank }: TextWeight): [weight: Buffer, blank: Buffer] {
  const found = fields[weight];
  if (found !== undefined) return [found, fields[blank] ?? Buffer.alloc(0)];
  throw unsupported(
    'comparing a text over several shards that a server gave no weights for',
    'Order and group by bytes, or give the shard key one value.',
  );
}

export function refuseCollated(
  type: { readonly isCollated: boolean },
  byteOrder: boolean,
  what: string,
): void {
  if (type.isCollated && !byteOrder) {
    throw unsupported(
      `${what} of text, which is ordered by a collation, over several shards`,
      'Write COLLATE "C" to order by bytes, or give the shard key one value.',
    );
  }
}

/** Compares by one ORDER BY item; NULLs have their place, whatever the direction. */
export function orderCompare(
  order: MergeOrder,
  compare: (a: unknown, b: unknown) => number,
): (a: unknown, b: unknown) => number {
  const sign = order.descending ? -1 : 1;
  const nullSide = order.nullsFirst ? -1 : 1;
  return (a, b) => {
    if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? nullSide : -nullSide;
    return sign * compare(a, b);
  };
}
