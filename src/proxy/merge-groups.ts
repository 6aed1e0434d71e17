import { unsupported } from '../lib/errors.js';
import type { RowFields } from '../pool/backend.js';
import type { MergeCast, MergeColumn } from '../routing/plan.js';
import type { MergerOptions, Merging } from './merge.js';
import {
  type ColumnReader,
  cannotAverage,
  columnAt,
  type Described,
  orderCompare,
  readerAt,
  refuseCollated,
  rowKey,
  shardFormats,
} from './merge-columns.js';
import { type GroupFilter, groupFilter } from './merge-having.js';
import { tooManyRows } from './merge-rows.js';
import type { MergeValues, TypedValue } from './merge-values.js';

/** One value of a group, fed by the group's rows. */
interface Cell {
  add(fields: RowFields): void;
  /** The field as the client gets it. */
  field(): Buffer | undefined;
  /** Decoded, for sorting and telling apart; undefined for NULL. */
  value(): unknown;
}

interface Maker {
  /** Of the value that is made. */
  readonly typeOid: number;
  make(): Cell;
  compare(a: unknown, b: unknown): number;
  keyOf(value: unknown): string;
}

interface Group {
  readonly cells: readonly Cell[];
  readonly sort: readonly Cell[];
  readonly having: readonly Cell[];
}

/** Adds partial aggregates up by group; the answer comes when all parts have ended. */
export class GroupMerge implements Merging {
  readonly #options: MergerOptions;
  readonly #groups = new Map<string, Group>();
  readonly #keyOf: (fields: RowFields) => string;
  readonly #output: readonly Maker[];
  readonly #sort: readonly Maker[];
  readonly #having: readonly Maker[];
  readonly #isIn: GroupFilter | undefined;
  #running: number;
  #answer: Iterator<RowFields> | undefined;
  isDone = false;

  constructor(options: MergerOptions, groupBy: readonly number[]) {
    this.#options = options;
    this.#running = options.parts;
    const { merge, clientFormats } = options;
    const formats = shardFormats(merge, clientFormats, options.values);
    const shardFormat = (column: number) => formats[column] ?? 0;
    const readers = groupBy.map((column) => readerAt(options, column, 'GROUP BY', shardFormat(column)));
    this.#keyOf = (fields) => rowKey(readers, fields);
    const clientFormat = (index: number) =>
      clientFormats.length === 1 ? clientFormats[0]! : (clientFormats[index] ?? 0);
    this.#output = merge.output.map((column, index) =>
      maker(column, options, shardFormat, clientFormat(index)),
    );
    this.#sort = merge.orderBy.map((order) => {
      const column = order.value ?? { type: 'pass', column: order.column };
      if (column.type === 'pass')
        refuseCollated(readerAt(options, column.column, 'ORDER BY', 0), order.byteOrder, 'ORDER BY');
      return maker(column, options, shardFormat, 0);
    });
    this.#having = (merge.having?.values ?? []).map((column) => maker(column, options, shardFormat, 0));
    this.#isIn = this.#filter(options);
  }

  #filter({ merge: { having }, limits, values }: MergerOptions): GroupFilter | undefined {
    return having === undefined
      ? undefined
      : groupFilter(having, this.#having, limits.constants ?? [], values);
  }

  push(_part: number, fields: RowFields): void {
    const key = this.#keyOf(fields);
    let group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size >= this.#options.maxRows) throw tooManyRows(this.#options.maxRows, 'GROUP BY');
      const cells = (makers: readonly Maker[]) => makers.map((each) => each.make());
      group = { cells: cells(this.#output), sort: cells(this.#sort), having: cells(this.#having) };
      this.#groups.set(key, group);
    }
    for (const cell of group.cells) cell.add(fields);
    for (const cell of group.sort) cell.add(fields);
    for (const cell of group.having) cell.add(fields);
  }

  endOf(_part: number): void {
    if (--this.#running === 0) this.#answer = this.#rows();
  }

  waitingRows(): number {
    return 0;
  }

  waitingBytes(): number {
    return 0;
  }

  next(): RowFields | undefined {
    const step = this.#answer?.next();
    if (step === undefined) return undefined;
    if (step.done === true) this.isDone = true;
    return step.done === true ? undefined : step.value;
  }

  *#rows(): Generator<RowFields, undefined> {
    const { merge, limits } = this.#options;
    const isIn = this.#isIn;
    const found = [...this.#groups.values()].filter(
      ({ having }) => isIn === undefined || isIn(having.map((cell) => cell.value())),
    );
    const groups = this.#sorted(found);
    const seen = new Set<string>();
    let toSkip = limits.offset;
    let left = limits.limit;
    for (const group of groups) {
      if (left === 0n) return undefined;
      if (merge.distinct) {
        const key = this.#rowKey(group);
        if (seen.has(key)) continue;
        seen.add(key);
      }
      if (toSkip > 0n) {
        toSkip--;
        continue;
      }
      if (left !== undefined) left--;
      yield group.cells.map((cell) => cell.field());
    }
    return undefined;
  }

  #sorted(groups: Group[]): Group[] {
    const { orderBy } = this.#options.merge;
    if (orderBy.length === 0) return groups;
    const compares = orderBy.map((order, index) =>
      orderCompare(order, (a, b) => this.#sort[index]!.compare(a, b)),
    );
    const rows = groups.map((group) => ({ group, values: group.sort.map((cell) => cell.value()) }));
    rows.sort((a, b) => {
      for (let index = 0; index < compares.length; index++) {
        const order = compares[index]!(a.values[index], b.values[index]);
        if (order !== 0) return order;
      }
      return 0;
    });
    return rows.map((row) => row.group);
  }

  #rowKey(group: Group): string {
    return group.cells
      .map((cell, index) => {
        const value = cell.value();
        const key = value === undefined ? undefined : this.#output[index]!.keyOf(value);
        return key === undefined ? '-' : `${key.length}:${key}`;
      })
      .join('');
  }
}

type ShardFormat = (column: number) => number;

function maker(
  made: MergeColumn,
  described: Described,
  shardFormat: ShardFormat,
  clientFormat: number,
): Maker {
  switch (made.type) {
    case 'rest':
      throw new TypeError('groups name their columns');
    case 'pass':
      return passer(made.column, described, shardFormat(made.column));
    case 'min':
    case 'max': {
      const reader = readerAt(described, made.column, made.type, shardFormat(made.column));
      refuseCollated(reader, made.byteOrder, made.type);
      const sign = made.type === 'min' ? -1 : 1;
      return chooser(made.column, described, reader, (next, kept) => sign * reader.compare(next, kept) > 0);
    }
    case 'bool-and':
    case 'bool-or': {
      const wanted = made.type === 'bool-or';
      const reader = readerAt(described, made.column, 'an aggregate', shardFormat(made.column));
      return chooser(made.column, described, reader, (next, kept) => next !== kept && next === wanted);
    }
    case 'count':
    case 'sum':
      return adder(made.column, made.cast, described, shardFormat, clientFormat);
    case 'avg':
      return averager(made, described, shardFormat, clientFormat);
  }
}

/** Keeps the first of the fields as it came; NULLs give way. Its type matters only to who wants to compare it. */
function passer(column: number, described: Described, format: number): Maker {
  let reader: ColumnReader | undefined;
  const known = (what: string) => (reader ??= readerAt(described, column, what, format));
  return {
    typeOid: columnAt(described.columns, column).typeOid,
    compare: (a, b) => known('ORDER BY').compare(a, b),
    keyOf: (value) => known('DISTINCT').keyOf(value),
    make: () => {
      let kept: RowFields | undefined;
      return {
        add: (fields) => {
          if (fields[column] !== undefined) kept ??= fields;
        },
        field: () => kept?.[column],
        value: () => (kept === undefined ? undefined : known('an answer').read(kept)),
      };
    },
  };
}

/** Keeps the field that `isBetter` prefers, as it came; NULLs give way. */
function chooser(
  column: number,
  { columns }: Described,
  reader: ColumnReader,
  isBetter: (next: unknown, kept: unknown) => boolean,
): Maker {
  return {
    typeOid: columnAt(columns, column).typeOid,
    compare: reader.compare,
    keyOf: reader.keyOf,
    make: () => {
      let kept: Buffer | undefined;
      let keptValue: unknown;
      return {
        add: (fields) => {
          const next = reader.read(fields);
          if (next === undefined || (kept !== undefined && !isBetter(next, keptValue))) return;
          kept = fields[column];
          keptValue = next;
        },
        field: () => kept,
        value: () => keptValue,
      };
    },
  };
}

/** How the partial sums of a column are read and added. */
function decoded(
  column: number,
  { columns, values }: Described,
  format: number,
): { typeOid: number; decode: (bytes: Buffer) => unknown; add: (a: unknown, b: unknown) => unknown } {
  const { typeOid } = columnAt(columns, column);
  const add = values.adder(typeOid);
  const type = values.comparable(typeOid);
  if (add === undefined || type === undefined)
    throw unsupported(
      `sum of values of type ${typeOid} over several shards`,
      'Cast it to numeric or double precision.',
    );
  return { typeOid, add, decode: (bytes) => type.decode(bytes, format) };
}

function adder(
  column: number,
  cast: MergeCast | undefined,
  described: Described,
  shardFormat: ShardFormat,
  clientFormat: number,
): Maker {
  const { values } = described;
  const like = columnAt(described.columns, column);
  const { typeOid, decode, add } = decoded(column, described, shardFormat(column));
  const finish = (sum: unknown): TypedValue =>
    cast === undefined ? { typeOid, value: sum } : values.cast({ typeOid, value: sum }, cast);
  return {
    ...comparing(cast === undefined ? typeOid : values.typeOfCast(cast).typeOid, values),
    make: () => {
      let sum: unknown;
      return {
        add: (fields) => {
          const bytes = fields[column];
          if (bytes === undefined) return;
          const value = decode(bytes);
          sum = sum === undefined ? value : add(sum, value);
        },
        field: () => (sum === undefined ? undefined : values.encode(finish(sum), clientFormat, like)),
        value: () => (sum === undefined ? undefined : finish(sum).value),
      };
    },
  };
}

function averager(
  made: MergeColumn & { type: 'avg' },
  described: Described,
  shardFormat: ShardFormat,
  clientFormat: number,
): Maker {
  const { cast, sum: sumColumn, count: countColumn } = made;
  const { values, columns } = described;
  const like = made.like === undefined ? undefined : columnAt(columns, made.like);
  const { typeOid, decode, add } = decoded(sumColumn, described, shardFormat(sumColumn));
  const counts = decoded(countColumn, described, shardFormat(countColumn));
  const average = values.averager(typeOid);
  if (average === undefined) throw cannotAverage(typeOid);
  const finish = (sum: unknown, count: bigint): TypedValue => {
    const value = { typeOid: average.typeOid, value: average.average(sum, count, like) };
    return cast === undefined ? value : values.cast(value, cast);
  };
  return {
    ...comparing(cast === undefined ? average.typeOid : values.typeOfCast(cast).typeOid, values),
    make: () => {
      let sum: unknown;
      let count = 0n;
      return {
        add: (fields) => {
          const bytes = fields[sumColumn];
          if (bytes === undefined) return;
          const value = decode(bytes);
          sum = sum === undefined ? value : add(sum, value);
          count += BigInt(String(counts.decode(fields[countColumn]!)));
        },
        field: () => (count === 0n ? undefined : values.encode(finish(sum, count), clientFormat, like)),
        value: () => (count === 0n ? undefined : finish(sum, count).value),
      };
    },
  };
}

function comparing(typeOid: number, values: MergeValues): Pick<Maker, 'typeOid' | 'compare' | 'keyOf'> {
  const type = values.comparable(typeOid);
  if (type === undefined) throw unsupported(`comparing values of type ${typeOid} over several shards`);
  return { typeOid, compare: (a, b) => type.compare(a, b), keyOf: (value) => type.keyOf(value) };
}
