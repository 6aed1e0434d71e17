import { OperatingError } from '../lib/errors.js';
import type { CopyTask } from '../migration/engine.js';
import { keyOf, selectionTest } from '../migration/selection.js';
import { tableKey } from '../topology/keyspace.js';
import type { ApplyStep } from './apply-batch.js';
import { ApplyStatements, keyTest } from './apply-statements.js';
import { quoteTable } from './engine-names.js';
import {
  columnDrift,
  columnList,
  storedColumns,
  type TableColumn,
  type TableFacts,
} from './engine-tables.js';
import type { Cell, PgoutputMessage, RelationMessage, Tuple } from './pgoutput.js';
import { selectionSql } from './selection.js';

/** Columns of a row that the log did not carry, and how to read them from the source. */
export interface MissingValues {
  readonly sql: string;
  readonly key: readonly Cell[];
  /** Where they belong among the step's values. */
  readonly columns: readonly number[];
}

export interface TableStep extends ApplyStep {
  readonly missing?: MissingValues;
}

type RowChange = Extract<PgoutputMessage, { type: 'insert' | 'update' | 'delete' }>;

/**
 * One table of a stream: turns the source's row changes into steps on the target. A row is on the target exactly while
 * its shard key is selected, so an update that changes the key may become an insert or a delete (hazard 15).
 */
export class ApplyTable {
  readonly #name: string;
  readonly #columns: readonly TableColumn[];
  readonly #statements: ApplyStatements;
  readonly #primaryKey: readonly number[];
  /** Undefined when all rows are selected. */
  readonly #shardKey: number | undefined;
  readonly #isSelected: (keyText: string | null) => boolean;
  readonly #condition: string;
  readonly #source: TableFacts;
  /** Which columns an old row carries when it is sent as its key only. */
  #isIdentity: readonly boolean[] = [];
  /** Where the columns stand in what the server sends; undefined when it sends just them. */
  #places: readonly number[] | undefined;

  /** `prefix`: unique among the tables of one stream. Throws when the two databases' tables are not alike. */
  constructor(task: CopyTask, source: TableFacts, target: TableFacts, prefix: string) {
    this.#name = tableKey(task.table);
    checkAlike(this.#name, source, target);
    this.#source = source;
    this.#columns = storedColumns(source).map((column) => withIdentityOf(target, column));
    this.#statements = new ApplyStatements({ ...target, columns: this.#columns }, prefix);
    this.#primaryKey = target.primaryKey.map((column) => this.#indexOf(column.name));
    this.#shardKey = task.selection.type === 'all' ? undefined : this.#indexOf(keyOf(task).column);
    this.#isSelected = selectionTest(task);
    this.#condition = selectionSql(task);
  }

  /** Throws when the table has changed since the stream began (hazard 18): a row's columns would be mixed up. */
  checkRelation(relation: RelationMessage): void {
    const isGenerated = new Set(
      this.#source.columns.filter((column) => column.isGenerated).map((column) => column.name),
    );
    const places = relation.columns.flatMap((column, place) => (isGenerated.has(column.name) ? [] : [place]));
    const sent = places.map((place) => relation.columns[place]!);
    const isSame =
      sent.length === this.#columns.length &&
      sent.every((column, index) => {
        const known = this.#columns[index]!;
        return (
          column.name === known.name &&
          column.typeOid === known.typeOid &&
          column.typeModifier === known.typeModifier
        );
      });
    this.#places = places.length === relation.columns.length ? undefined : places;
    this.#isIdentity = sent.map((column) => column.isIdentity);
    const needed = this.#shardKey === undefined ? this.#primaryKey : [...this.#primaryKey, this.#shardKey];
    const lost = needed.find((index) => this.#isIdentity[index] === false);
    if (isSame && lost !== undefined) throw this.#incomplete(lost);
    if (isSame) return;
    throw new OperatingError(
      'migration',
      `table ${this.#name} was changed (DDL) while its rows are being moved`,
      {
        hint: 'abort the migration, change the table on every shard, then start the migration again',
      },
    );
  }

  /** The steps that bring the target's rows to what the source's are after this change. */
  steps(change: RowChange): TableStep[] {
    if (change.type === 'delete') {
      const before = this.#stored(change.before);
      return this.#holds(before, undefined) ? [this.#delete(before)] : [];
    }
    const after = this.#stored(change.after);
    if (change.type === 'update') return this.#update(after, this.#known(change.before, change.beforeKind));
    return this.#holds(after, undefined) ? [this.#insert(after, undefined)] : [];
  }

  /** Without what the target computes itself. */
  #stored(tuple: Tuple): Tuple {
    return this.#places === undefined ? tuple : this.#places.map((place) => tuple[place]);
  }

  /** The source emptied its table: everything that came from it goes. */
  truncate(): ApplyStep {
    return { statement: this.#statements.clear(this.#condition), values: [] };
  }

  /** In an old row of the key only, the other columns say NULL and mean nothing. */
  #known(before: Tuple | undefined, kind: 'full' | 'key' | 'none'): Tuple | undefined {
    const stored = before === undefined ? undefined : this.#stored(before);
    if (kind !== 'key') return stored;
    return stored?.map((cell, index) => (this.#isIdentity[index] === true ? cell : undefined));
  }

  #update(after: Tuple, before: Tuple | undefined): TableStep[] {
    const was = this.#holds(before ?? after, undefined);
    const is = this.#holds(after, before);
    if (was && is) return this.#change(after, before);
    if (was) return [this.#delete(before ?? after)];
    return is ? [this.#insert(after, before)] : [];
  }

  #change(after: Tuple, before: Tuple | undefined): TableStep[] {
    const old = before ?? after;
    if (
      before !== undefined &&
      this.#columns.some((column, index) => column.isAlwaysIdentity && differ(before[index], after[index]))
    ) {
      return [this.#delete(old), this.#insert(after, before)];
    }
    const columns: number[] = [];
    for (let index = 0; index < after.length; index++) {
      if (after[index] !== undefined && !this.#columns[index]!.isAlwaysIdentity) columns.push(index);
    }
    if (columns.length === 0) return [];
    const values = [...columns.map((index) => after[index]), ...this.#primaryKeyOf(old)];
    return [{ statement: this.#statements.update(columns), values }];
  }

  #insert(after: Tuple, before: Tuple | undefined): TableStep {
    const values = after.map((cell, index) => (cell === undefined ? before?.[index] : cell));
    const statement = this.#statements.insert();
    const columns = values.flatMap((value, index) => (value === undefined ? [index] : []));
    return columns.length === 0
      ? { statement, values }
      : { statement, values, missing: this.#missing(after, columns) };
  }

  /**
   * A large value that did not change, of a row that moves in, is not in the log when the old row is sent as its key only.
   * What the source holds now is as good: if the value has changed since, a later change brings it too.
   */
  #missing(after: Tuple, columns: readonly number[]): MissingValues {
    const list = columnList(columns.map((index) => this.#columns[index]!));
    const sql = `SELECT ${list} FROM ONLY ${quoteTable(this.#source.table)} WHERE ${keyTest(this.#source.primaryKey, 0)}`;
    return { sql, key: this.#primaryKeyOf(after), columns };
  }

  #delete(before: Tuple): ApplyStep {
    return { statement: this.#statements.delete(), values: this.#primaryKeyOf(before) };
  }

  #primaryKeyOf(tuple: Tuple): Cell[] {
    return this.#primaryKey.map((index) => {
      const cell = tuple[index];
      if (cell === undefined || cell === null) throw this.#incomplete(index);
      return cell;
    });
  }

  #holds(tuple: Tuple, fallback: Tuple | undefined): boolean {
    if (this.#shardKey === undefined) return true;
    const cell = tuple[this.#shardKey] === undefined ? fallback?.[this.#shardKey] : tuple[this.#shardKey];
    if (cell === undefined) throw this.#incomplete(this.#shardKey);
    return this.#isSelected(cell === null ? null : cell.toString('utf8'));
  }

  #indexOf(name: string): number {
    const index = this.#columns.findIndex((column) => column.name === name);
    if (index < 0) throw new OperatingError('migration', `table ${this.#name} has no stored column ${name}`);
    return index;
  }

  #incomplete(index: number): OperatingError {
    const column = this.#columns[index]?.name ?? `number ${index}`;
    return new OperatingError(
      'migration',
      `table ${this.#name}: the log does not carry column ${column} of a changed row`,
      {
        hint: 'the replica identity of the table was changed; abort the migration and start it again',
      },
    );
  }
}

function checkAlike(name: string, source: TableFacts, target: TableFacts): void {
  const keys = [source, target].map((facts) => facts.primaryKey.map((column) => column.name).join(', '));
  const drift =
    columnDrift(source, target) ??
    (keys[0] === keys[1] ? undefined : `its primary key is (${keys[1]}), not (${keys[0]})`);
  const fault = source.primaryKey.length === 0 ? 'it has no primary key' : drift;
  if (fault !== undefined)
    throw new OperatingError('migration', `table ${name} cannot be kept equal on both shards: ${fault}`);
}

function withIdentityOf(target: TableFacts, column: TableColumn): TableColumn {
  const there = target.columns.find((other) => other.name === column.name)!;
  return { ...column, isAlwaysIdentity: there.isAlwaysIdentity };
}

function differ(before: Cell, after: Cell): boolean {
  if (before === undefined || after === undefined) return false;
  if (before === null || after === null) return before !== after;
  return !before.equals(after);
}
