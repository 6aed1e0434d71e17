import { OperatingError } from '../lib/errors.js';
import type { Gtid, MysqlGtid } from './gtid.js';
import { imageSize, type LogColumn } from './log-values.js';

/** Columns of a changed row as the bytes of the row image; null for NULL; undefined when the log does not carry it. */
export type RowImage = readonly (Buffer | null | undefined)[];

/** A table as the log describes it before rows of it. */
export interface LogTable {
  readonly schema: string;
  readonly name: string;
  /** Undefined without binlog_row_metadata=FULL. */
  readonly columnNames: readonly string[] | undefined;
  readonly columns: readonly LogColumn[];
  /** Undefined for what is no number. */
  readonly isUnsigned: readonly (boolean | undefined)[];
  /** Places of the primary key's columns. */
  readonly primaryKey: readonly number[];
}

/** What the log tells, in its order: a group (begin … end) for each transaction. */
export type LogEvent =
  | {
      readonly type: 'begin';
      readonly gtid: Gtid;
      /** `prepared`: ends undecided; `decided`: XA COMMIT or ROLLBACK of a prepared one; `single`: DDL, without an end of its own. */
      readonly kind: 'ordinary' | 'prepared' | 'decided' | 'single';
      /** The XA transaction's name, for `prepared` and `decided`. */
      readonly xid: string | undefined;
    }
  | { readonly type: 'table'; readonly id: number; readonly table: LogTable }
  | {
      readonly type: 'rows';
      readonly table: number;
      readonly change: 'insert' | 'update' | 'delete';
      /** For updates: before and after in turn. */
      readonly images: readonly RowImage[];
    }
  | { readonly type: 'query'; readonly sql: string; readonly schema: string }
  | {
      readonly type: 'end';
      /** Of an XA transaction that stands in the log like a prepared one, but was committed at once (XA COMMIT … ONE PHASE). */
      readonly isOnePhase?: boolean;
    };

/** A change of a table map's columns, so that their values come as the bytes that the log holds: see `takeRaw`. */
interface MutableColumn {
  name: string;
  charset: string | null;
  type: number;
  metadata: Record<string, unknown>;
}

const BIT = 16;
const BLOB = 252;
const VARCHAR = 15;
const STRING = 254;
const COMPRESSED: readonly number[] = [140, 141];

/** A table as the library keeps it: MariaDB's logs describe it anew each time, of others it is kept by the log's number. */
interface LibraryTable {
  columns?: MutableColumn[];
  columnSchemas: { COLUMN_TYPE: string }[];
}

/** Columns as the log has them, of tables whose columns `takeRaw` has changed. */
export type KnownTables = WeakMap<LibraryTable, readonly LogColumn[]>;

/** What the library's events hold, as far as we look. */
export interface ZongjiEvent {
  getEventName(): string;
  /** MySQL: `uuid:number`, perhaps with a tag between. */
  readonly gtid?: string;
  readonly onePhase?: boolean;
  readonly domainId?: number;
  readonly serverId?: number;
  readonly seqNo?: number | string;
  readonly standalone?: boolean;
  readonly preparedXa?: boolean;
  readonly completedXa?: boolean;
  readonly xidFormatId?: number;
  readonly xidGtrid?: Buffer;
  readonly xidBqual?: Buffer;
  readonly tableId?: number;
  readonly schemaName?: string;
  readonly tableName?: string;
  readonly columnNames?: readonly string[];
  readonly signedness?: readonly (boolean | undefined)[];
  readonly primaryKey?: readonly number[];
  readonly tableMap?: Record<number, LibraryTable>;
  readonly rows?: readonly unknown[];
  readonly numberOfColumns?: number;
  readonly columns_present_bitmap?: Buffer;
  readonly columns_present_bitmap2?: Buffer;
  readonly query?: string;
  readonly schema?: string;
}

export function translate(event: ZongjiEvent, known: KnownTables): LogEvent | undefined {
  switch (event.getEventName()) {
    case 'mariadbgtid':
      return beginOf(event);
    case 'tablemap':
      return tableOf(event, known);
    case 'writerows':
      return rowsOf(event, 'insert');
    case 'updaterows':
      return rowsOf(event, 'update');
    case 'deleterows':
      return rowsOf(event, 'delete');
    case 'query':
      return { type: 'query', sql: event.query ?? '', schema: event.schema ?? '' };
    case 'xid':
      return { type: 'end' };
    case 'xaprepare':
      return { type: 'end', ...(event.onePhase === true ? { isOnePhase: true } : {}) };
    default:
      refuseUnreadable(event.getEventName());
      return undefined;
  }
}

/** Events that hold changes which we cannot read: what they are, and what keeps the server from writing them. */
const UNREADABLE: Readonly<Record<string, readonly [what: string, remedy: string]>> = {
  transactionpayload: [
    'a compressed transaction (TRANSACTION_PAYLOAD_EVENT)',
    'set binlog_transaction_compression = OFF, globally and in every session',
  ],
  partialupdaterows: [
    'a change of parts of a JSON value (PARTIAL_UPDATE_ROWS_EVENT)',
    "set binlog_row_value_options = '', globally and in every session",
  ],
  anonymousgtid: [
    'a transaction without a GTID (ANONYMOUS_GTID_LOG_EVENT)',
    'set gtid_mode = ON and enforce_gtid_consistency = ON',
  ],
};

function refuseUnreadable(eventName: string): void {
  const [what, remedy] = UNREADABLE[eventName] ?? [];
  if (what === undefined) return;
  throw new OperatingError('migration', `the log holds ${what}, which is not supported`, {
    hint: `${remedy}, abort the migration and start it again`,
  });
}

export function mysqlGtidOf({ gtid }: ZongjiEvent): MysqlGtid {
  const match = /^([0-9a-f-]{36}(?::[a-z_][a-z0-9_]*)?):(\d+)$/i.exec(gtid ?? '');
  if (match === null)
    throw new OperatingError('migration', `the log holds the GTID ${gtid}, which is not one`);
  return { source: match[1]!.toLowerCase(), sequence: BigInt(match[2]!) };
}

/** As the server itself writes it: `X'…',X'…',7`, which is what `xidText` makes. */
const XA = /^XA (START|COMMIT|ROLLBACK) (X'[0-9a-f]*',X'[0-9a-f]*',\d+)$/i;

/** BEGIN and its rows, or XA START and its; the decision of a prepared transaction; or one statement by itself. */
export function mysqlBegin(gtid: MysqlGtid, behind: LogEvent): LogEvent[] {
  const sql = behind.type === 'query' ? behind.sql.trim() : '';
  if (/^XA\b/i.test(sql)) {
    const [, verb, xid] = XA.exec(sql) ?? [];
    if (verb === undefined)
      throw new OperatingError('migration', `the log holds an XA statement that cannot be read: ${sql}`);
    return verb.toUpperCase() === 'START'
      ? [{ type: 'begin', gtid, kind: 'prepared', xid }]
      : [{ type: 'begin', gtid, kind: 'decided', xid }, behind];
  }
  const isOrdinary = behind.type !== 'query' || /^BEGIN\b/i.test(sql);
  const begin: LogEvent = { type: 'begin', gtid, kind: isOrdinary ? 'ordinary' : 'single', xid: undefined };
  return /^BEGIN\b/i.test(sql) ? [begin] : [begin, behind];
}

function beginOf(event: ZongjiEvent): LogEvent {
  const gtid = {
    domain: event.domainId!,
    server: event.serverId!,
    sequence: BigInt(event.seqNo!),
  };
  const hasXid = event.preparedXa === true || event.completedXa === true;
  return {
    type: 'begin',
    gtid,
    kind: event.preparedXa
      ? 'prepared'
      : event.completedXa
        ? 'decided'
        : event.standalone
          ? 'single'
          : 'ordinary',
    xid: hasXid ? xidText(event.xidFormatId!, event.xidGtrid!, event.xidBqual!) : undefined,
  };
}

export function xidText(format: number, global: Buffer, branch: Buffer): string {
  return `X'${global.toString('hex')}',X'${branch.toString('hex')}',${format}`;
}

function tableOf(event: ZongjiEvent, known: KnownTables): LogEvent {
  const entry = event.tableMap![event.tableId!]!;
  let columns = known.get(entry);
  if (columns === undefined) {
    columns = entry.columns!.map((column) => ({
      type: column.type,
      metadata: { ...column.metadata } as LogColumn['metadata'],
    }));
    for (const [index, column] of entry.columns!.entries())
      takeRaw(column, entry.columnSchemas[index]!, index);
    known.set(entry, columns);
  }
  return {
    type: 'table',
    id: event.tableId!,
    table: {
      schema: event.schemaName!,
      name: event.tableName!,
      columnNames: event.columnNames,
      columns,
      isUnsigned: event.signedness ?? [],
      primaryKey: event.primaryKey ?? [],
    },
  };
}

/**
 * Lets the library hand over a column's bytes: what has a fixed size is told to be a BIT field of that size, what has its
 * length before it a binary string or blob. Columns are named by their place, so that no name can do harm.
 */
function takeRaw(column: MutableColumn, schema: { COLUMN_TYPE: string }, index: number): void {
  const size = imageSize(column as LogColumn);
  column.name = String(index);
  column.charset = null;
  if (size === undefined) return;
  if (size !== 'varying') {
    column.type = BIT;
    column.metadata = { bits: size * 8 };
    return;
  }
  schema.COLUMN_TYPE = 'varbinary';
  if (COMPRESSED.includes(column.type)) return;
  if (column.type === STRING || column.type === VARCHAR) column.type = VARCHAR;
  else column.type = BLOB;
}

function rowsOf(event: ZongjiEvent, change: 'insert' | 'update' | 'delete'): LogEvent {
  const images: RowImage[] = [];
  const count = event.numberOfColumns!;
  for (const row of event.rows ?? []) {
    if (change === 'update') {
      const { before, after } = row as { before: Row; after: Row };
      images.push(imageOf(before, count, event.columns_present_bitmap!));
      images.push(imageOf(after, count, event.columns_present_bitmap2!));
    } else images.push(imageOf(row as Row, count, event.columns_present_bitmap!));
  }
  return { type: 'rows', table: event.tableId!, change, images };
}

type Row = Readonly<Record<string, Buffer | null | undefined>>;

/** Bytes are views of the packet; whoever keeps them copies (literals are copies). */
function imageOf(row: Row, count: number, present: Buffer): RowImage {
  return Array.from({ length: count }, (_, index) =>
    (present[index >> 3]! & (1 << (index & 7))) === 0 ? undefined : row[String(index)],
  );
}
