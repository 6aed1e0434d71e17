import { unsupported } from '../lib/errors.js';
import type { RowFields } from '../pool/backend.js';
import type { MergeCast, MergeColumn } from '../routing/plan.js';
import type { MergerOptions, Merging } from './merge.js';
import {
  cannotAverage,
  columnAt,
  comparableAt,
  type Described,
  orderCompare,
  refuseCollated,
  shardFormats,
} from './merge-columns.js';
import { tooManyRows } from './merge-rows.js';
import type { ComparableType, MergeValues, TypedValue } from './merge-values.js';

/** One value of a group, fed by the group's rows. */
interface Cell {
  add(fields: RowFields): void;
  /** The field as the client gets it. */
  field(): Buffer | undefined;
  /** Decoded, for sorting and telling apart; undefined for NULL. */
  value(): unknown;
}

interface Maker {
  make(): Cell;
  compare(a: unknown, b: unknown): number;
  keyOf(value: unknown): string;
}

interface Group {
  readonly cells: readonly Cell[];
  readonly sort: readonly Cell[];
}

/** Adds partial aggregates up by group; the answer comes when all parts have ended. */
export class GroupMerge implements Merging {
  readonly #options: MergerOptions;
  readonly #groups = new Map<string, Group>();
  readonly #keyOf: (fields: RowFields) => string;
  readonly #output: readonly Maker[];
  readonly #sort: readonly Maker[];
  #running: number;
  #answer: Iterator<RowFields> | undefined;
  isDone = false;

  constructor(options: MergerOptions, groupBy: readonly number[]) {
    this.#options = options;
    this.#running = options.parts;
    const { merge, clientFormats } = options;
    const formats = shardFormats(merge, clientFormats);
    const shardFormat = (column: number) => formats[column] ?? 0;
    const types = groupBy.map((column) => ({ column, type: comparableAt(options, column, 'GROUP BY') }));
    this.#keyOf = (fields) =>
      types
        .map(({ column, type }) => {
          const bytes = fields[column];
          if (bytes === undefined) return '-';
          const key = type.keyOf(type.decode(bytes, shardFormat(column)));
          return `${key.length}:${key}`;
        })
        .join('');
    const clientFormat = (index: number) =>
      clientFormats.length === 1 ? clientFormats[0]! : (clientFormats[index] ?? 0);
    this.#output = merge.output.map((column, index) =>
      maker(column, options, shardFormat, clientFormat(index)),
    );
    this.#sort = merge.orderBy.map((order) => {
      const column = order.value ?? { type: 'pass', column: order.column };
      if (column.type === 'pass')
        refuseCollated(comparableAt(options, column.column, 'ORDER BY'), order.byteOrder, 'ORDER BY');
      return maker(column, options, shardFormat, 0);
    });
  }

  push(_part: number, fields: RowFields): void {
    const key = this.#keyOf(fields);
    let group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size >= this.#options.maxRows) throw tooManyRows(this.#options.maxRows, 'GROUP BY');
      group = { cells: this.#output.map((each) => each.make()), sort: this.#sort.map((each) => each.make()) };
      this.#groups.set(key, group);
    }
    for (const cell of group.cells) cell.add(fields);
    for (const cell of group.sort) cell.add(fields);
  }

  endOf(_part: number): void {
    if (--this.#running === 0) this.#answer = this.#rows();
  }

  waiting(): number {
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
    const groups = this.#sorted([...this.#groups.values()]);
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
      return chooser(made.column, described, shardFormat, () => false, 'pass');
    case 'min':
    case 'max': {
      const type = comparableAt(described, made.column, made.type);
      refuseCollated(type, made.byteOrder, made.type);
      const sign = made.type === 'min' ? -1 : 1;
      return chooser(
        made.column,
        described,
        shardFormat,
        (next, kept) => sign * type.compare(next, kept) > 0,
        'compare',
      );
    }
    case 'bool-and':
    case 'bool-or': {
      const wanted = made.type === 'bool-or';
      return chooser(
        made.column,
        described,
        shardFormat,
        (next, kept) => next !== kept && next === wanted,
        'compare',
      );
    }
    case 'count':
    case 'sum':
      return adder(made.column, made.cast, described, clientFormat);
    case 'avg':
      return averager(made.sum, made.count, made.cast, described, clientFormat);
  }
}

/** Keeps one of the fields as it came: the first, or the one that `isBetter` prefers. NULLs give way. */
function chooser(
  column: number,
  described: Described,
  shardFormat: ShardFormat,
  isBetter: (next: unknown, kept: unknown) => boolean,
  use: 'pass' | 'compare',
): Maker {
  const type =
    use === 'compare' ? comparableAt(described, column, 'an aggregate') : knownType(described, column);
  const decode = (bytes: Buffer) => type?.decode(bytes, shardFormat(column));
  return {
    compare: (a, b) => (type ?? comparableAt(described, column, 'ORDER BY')).compare(a, b),
    keyOf: (value) => (type ?? comparableAt(described, column, 'DISTINCT')).keyOf(value),
    make: () => {
      let kept: Buffer | undefined;
      let keptValue: unknown;
      return {
        add: (fields) => {
          const next = fields[column];
          if (next === undefined) return;
          if (use === 'pass') {
            kept ??= next;
            return;
          }
          const value = decode(next);
          if (kept !== undefined && !isBetter(value, keptValue)) return;
          kept = next;
          keptValue = value;
        },
        field: () => kept,
        value: () => (kept === undefined ? undefined : (keptValue ?? decode(kept))),
      };
    },
  };
}

/** The type of a column that only passes, as long as nobody wants to compare it. */
function knownType({ merge, columns, values }: Described, column: number): ComparableType | undefined {
  const labels = merge.enums?.get(column);
  return labels === undefined ? values.comparable(columnAt(columns, column).typeOid) : values.enumOf(labels);
}

/** Texts of computed columns, since they are asked for as text. */
function decoded(
  column: number,
  { columns, values }: Described,
): { typeOid: number; decode: (bytes: Buffer) => unknown; add: (a: unknown, b: unknown) => unknown } {
  const { typeOid } = columnAt(columns, column);
  const add = values.adder(typeOid);
  const type = values.comparable(typeOid);
  if (add === undefined || type === undefined)
    throw unsupported(
      `sum of values of type ${typeOid} over several shards`,
      'Cast it to numeric or double precision.',
    );
  return { typeOid, add, decode: (bytes) => type.decode(bytes, 0) };
}

function adder(
  column: number,
  cast: MergeCast | undefined,
  described: Described,
  clientFormat: number,
): Maker {
  const { values } = described;
  const { typeOid, decode, add } = decoded(column, described);
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
        field: () => (sum === undefined ? undefined : values.encode(finish(sum), clientFormat)),
        value: () => (sum === undefined ? undefined : finish(sum).value),
      };
    },
  };
}

function averager(
  sumColumn: number,
  countColumn: number,
  cast: MergeCast | undefined,
  described: Described,
  clientFormat: number,
): Maker {
  const { values } = described;
  const { typeOid, decode, add } = decoded(sumColumn, described);
  const average = values.averager(typeOid);
  if (average === undefined) throw cannotAverage(typeOid);
  const finish = (sum: unknown, count: bigint): TypedValue => {
    const value = { typeOid: average.typeOid, value: average.average(sum, count) };
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
          count += BigInt(fields[countColumn]!.toString('latin1'));
        },
        field: () => (count === 0n ? undefined : values.encode(finish(sum, count), clientFormat)),
        value: () => (count === 0n ? undefined : finish(sum, count).value),
      };
    },
  };
}

function comparing(typeOid: number, values: MergeValues): Pick<Maker, 'compare' | 'keyOf'> {
  const type = values.comparable(typeOid);
  if (type === undefined) throw unsupported(`comparing values of type ${typeOid} over several shards`);
  return { compare: (a, b) => type.compare(a, b), keyOf: (value) => type.keyOf(value) };
}
