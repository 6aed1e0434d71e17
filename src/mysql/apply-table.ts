import { OperatingError } from '../lib/errors.js';
import type { CopyTask } from '../migration/engine.js';
import { keyOf, selectionTest } from '../migration/selection.js';
import { tableKey } from '../topology/keyspace.js';
import type { LogTable, RowImage } from './binlog-events.js';
import type { Literal } from './column-values.js';
import { quoteName, quoteTable } from './engine-names.js';
import { checkAlike, columnList, storedColumns, type TableColumn, type TableFacts } from './engine-tables.js';
import { imageSize, keyText, type ValueReader, valueReader } from './log-values.js';
import { selectionSql } from './selection.js';

/** One change of the target's rows. Neighbours of the same kind may be joined: `head` + bodies + `tail`. */
export interface ApplyStep {
  readonly head: string;
  readonly body: string;
  readonly tail: string;
  /** Steps that may stand in one statement say the same here; undefined for those that stand alone. */
  readonly joins: string | undefined;
  /** Rows that it must find; undefined when any number is right. */
  readonly expected: number | undefined;
  /** For errors: `update in app.orders`. */
  readonly what: string;
}

/** Of its statement, roughly: characters are counted. */
export function stepBytes({ head, body }: ApplyStep): number {
  return head.length + body.length;
}

/** Readers for the columns of one table map. */
interface Binding {
  readonly places: readonly number[];
  readonly readers: readonly ValueReader[];
}

/** The values of stored columns, read when they are asked for. */
type Row = (index: number) => Literal;

/**
 * One table of a stream: turns the source's row changes into steps on the target. A row is on the target exactly while
 * its shard key is selected, so an update that changes the key may become an insert or a delete (hazard 15). Rows are
 * addressed by their old primary key. No REPLACE and no ON DUPLICATE KEY: they would touch other rows (hazard 14).
 */
export class ApplyTable {
  readonly name: string;
  readonly #facts: TableFacts;
  readonly #columns: readonly TableColumn[];
  readonly #primaryKey: readonly number[];
  /** Undefined when all rows are selected. */
  readonly #shardKey: number | undefined;
  readonly #isSelected: (keyText: string | null) => boolean;
  readonly #condition: string;
  readonly #table: string;
  /** Otherwise only the number of columns can be compared; DDL is in the log as a statement in any case. */
  readonly #logNamesColumns: boolean;
  readonly #insertHead: string;
  /** Columns that an UPDATE must name even if they stay: ON UPDATE CURRENT_TIMESTAMP would change them. */
  readonly #alwaysSet: readonly boolean[];
  readonly #bindings = new Map<number, Binding>();

  /** Throws when the two databases' tables are not alike. */
  constructor(task: CopyTask, source: TableFacts, target: TableFacts, logNamesColumns: boolean) {
    this.#logNamesColumns = logNamesColumns;
    this.name = tableKey(task.table);
    checkAlike(source, target);
    this.#facts = source;
    this.#columns = storedColumns(source);
    this.#primaryKey = source.primaryKey.map((name) => this.#indexOf(name));
    this.#shardKey = task.selection.type === 'all' ? undefined : this.#indexOf(keyOf(task).column);
    this.#isSelected = selectionTest(task);
    this.#condition = selectionSql(task);
    this.#table = quoteTable(task.table);
    this.#insertHead = `INSERT INTO ${this.#table} (${columnList(this.#columns)}) VALUES `;
    this.#alwaysSet = this.#columns.map(
      ({ dataType }) => dataType === 'timestamp' || dataType === 'datetime',
    );
  }

  /** Throws when the table has changed since the stream began (hazard 18): a row's columns would be mixed up. */
  bind(id: number, table: LogTable): void {
    const { columns } = this.#facts;
    const isSame = this.#logNamesColumns
      ? this.#isNamedSo(table)
      : table.columns.length === columns.length &&
        table.columns.every((column) => imageSize(column) !== undefined);
    if (!isSame) throw this.changed();
    const places = this.#columns.map((column) => columns.indexOf(column));
    const readers = this.#columns.map((column, index) => valueReader(table.columns[places[index]!]!, column));
    this.#bindings.set(id, { places, readers });
  }

  #isNamedSo(table: LogTable): boolean {
    const { columns, primaryKey } = this.#facts;
    const { columnNames } = table;
    if (columnNames === undefined)
      throw new OperatingError('migration', `the log does not name the columns of table ${this.name}`, {
        hint: "SET GLOBAL binlog_row_metadata = 'FULL' (and in the server's configuration), then start the migration again",
      });
    return (
      columnNames.length === columns.length &&
      columns.every(
        ({ name, type, dataType }, index) =>
          name === columnNames[index] &&
          (!/^(tiny|small|medium|big)?int$/.test(dataType) ||
            table.isUnsigned[index] === /\bunsigned\b/i.test(type)) &&
          imageSize(table.columns[index]!) !== undefined,
      ) &&
      primaryKey.join() === table.primaryKey.map((index) => columns[index]?.name).join()
    );
  }

  changed(): OperatingError {
    return new OperatingError(
      'migration',
      `table ${this.name} was changed (DDL) while its rows are being moved`,
      { hint: 'abort the migration, change the table on every shard, then start the migration again' },
    );
  }

  /** The steps that bring the target's rows to what the source's are after this change. */
  steps(id: number, change: 'insert' | 'update' | 'delete', images: readonly RowImage[]): ApplyStep[] {
    const rows = images.map((image) => this.#row(this.#bindings.get(id)!, image));
    if (change === 'insert') return rows.filter((row) => this.#holds(row)).map((row) => this.#insert(row));
    if (change === 'delete') return rows.filter((row) => this.#holds(row)).map((row) => this.#delete(row));
    const steps: ApplyStep[] = [];
    for (let index = 0; index < rows.length; index += 2)
      steps.push(...this.#update(rows[index]!, rows[index + 1]!));
    return steps;
  }

  /** The source emptied its table: everything that came from it goes. */
  truncate(): ApplyStep {
    return {
      head: `DELETE FROM ${this.#table} WHERE ${this.#condition}`,
      body: '',
      tail: '',
      joins: undefined,
      expected: undefined,
      what: `truncate of ${this.name}`,
    };
  }

  #row({ places, readers }: Binding, image: RowImage): Row {
    const read: (Literal | undefined)[] = [];
    return (index) => {
      const bytes = image[places[index]!];
      if (bytes === undefined) throw this.#incomplete(index);
      return (read[index] ??= bytes === null ? 'NULL' : readers[index]!(bytes));
    };
  }

  #update(before: Row, after: Row): ApplyStep[] {
    const was = this.#holds(before);
    const is = this.#holds(after);
    if (was && !is) return [this.#delete(before)];
    if (!was) return is ? [this.#insert(after)] : [];
    const sets = this.#columns.flatMap(({ name }, index) =>
      this.#alwaysSet[index]! || before(index) !== after(index)
        ? [`${quoteName(name)} = ${after(index)}`]
        : [],
    );
    if (sets.length === 0) return [];
    return [
      {
        head: `UPDATE ${this.#table} SET ${sets.join(', ')} WHERE ${this.#keyTest(before)}`,
        body: '',
        tail: '',
        joins: undefined,
        expected: 1,
        what: `update in ${this.name}`,
      },
    ];
  }

  #insert(row: Row): ApplyStep {
    const body = `(${this.#columns.map((_, index) => row(index)).join(', ')})`;
    return {
      head: this.#insertHead,
      body,
      tail: '',
      joins: `insert ${this.name}`,
      expected: 1,
      what: `insert in ${this.name}`,
    };
  }

  /** A key of several columns stands alone: MariaDB looks through the whole table for `(a, b) IN (…)`. */
  #delete(row: Row): ApplyStep {
    const what = `delete in ${this.name}`;
    const [only] = this.#primaryKey;
    const head = `DELETE FROM ${this.#table} WHERE `;
    if (this.#primaryKey.length > 1)
      return { head, body: this.#keyTest(row), tail: '', joins: undefined, expected: 1, what };
    return {
      head: `${head}${quoteName(this.#columns[only!]!.name)} IN (`,
      body: row(only!),
      tail: ')',
      joins: `delete ${this.name}`,
      expected: 1,
      what,
    };
  }

  #keyTest(row: Row): string {
    return this.#primaryKey
      .map((index) => `${quoteName(this.#columns[index]!.name)} = ${row(index)}`)
      .join(' AND ');
  }

  #holds(row: Row): boolean {
    if (this.#shardKey === undefined) return true;
    return this.#isSelected(keyText(row(this.#shardKey), this.#columns[this.#shardKey]!));
  }

  #indexOf(name: string): number {
    const index = this.#columns.findIndex((column) => column.name === name);
    if (index < 0) throw new OperatingError('migration', `table ${this.name} has no stored column ${name}`);
    return index;
  }

  #incomplete(index: number): OperatingError {
    const column = this.#columns[index]?.name ?? `number ${index}`;
    return new OperatingError(
      'migration',
      `table ${this.name}: the log does not carry column ${column} of a changed row`,
      {
        hint: 'binlog_row_image must be FULL in every session; set it, abort the migration and start it again',
      },
    );
  }
}
