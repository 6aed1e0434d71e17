import type { ResultColumn, RowFields } from '../pool/backend.js';
import type { SessionLeft, StateAnswer, StatementEnd } from '../proxy/dialect.js';
import type { SessionState } from '../routing/plan.js';
import { BINARY_COLLATION, FIELD_FLAG, FIELD_TYPE, UNSIGNED_TYPE } from './capabilities.js';
import { decodeTag, type Ending } from './tag.js';

// What a session's statements leave behind them, as servers count it (MariaDB manual, "Information Functions"; held against real servers).
// A number that the ends of statements do not tell for certain is unknown, and whoever asks for it is refused.

interface Left extends SessionLeft {
  readonly lastInsertId: bigint;
  readonly rowCount: bigint | undefined;
  readonly foundRows: bigint | Found | undefined;
  readonly warnings: bigint;
  readonly errors: bigint;
  /** The servers clear messages with each statement that does not ask for them. */
  readonly forgets: boolean;
}

/** The end of a SELECT, and its text, which says whether it found as many; looked at when somebody asks. */
interface Found {
  /** `SELECT n …`. */
  readonly tag: string;
  readonly sql: string;
}

const AT_START: Left = {
  lastInsertId: 0n,
  rowCount: 0n,
  foundRows: 0n,
  warnings: 0n,
  errors: 0n,
  forgets: false,
};

function ofSession(left: SessionLeft | undefined): Left {
  return (left as Left | undefined) ?? AT_START;
}

/** Folds the end of one statement into what the session has left. */
export function remembered(before: SessionLeft | undefined, end: StatementEnd): SessionLeft {
  const left = answered(ofSession(before), end);
  const foundRows = foundRowsOf(left, end);
  if (end.tag === undefined) return { ...left, rowCount: -1n, foundRows, warnings: 1n, errors: 1n };
  const ending = decodeTag(end.tag);
  const { lastInsertId } = ending;
  // What was ended here, and not by a server, says nothing of it.
  const forgets = left.forgets || ending.forgets === true;
  const hasMessages = left.warnings !== 0n || left.errors !== 0n;
  const keeps = hasMessages && !forgets && keepsMessages(end);
  const after: Left = {
    lastInsertId: lastInsertId === 0n ? left.lastInsertId : lastInsertId,
    rowCount: rowCountOf(end, ending),
    foundRows,
    warnings: keeps ? left.warnings : ending.warnings === 0 ? 0n : BigInt(ending.warnings),
    errors: keeps ? left.errors : 0n,
    forgets,
  };
  return after;
}

const TABLELESS = new Set(['BEGIN', 'START TRANSACTION', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'SET', 'DO']);

/** What uses no table and has nothing to tell leaves the messages of earlier statements (MariaDB manual, SHOW WARNINGS). */
export function keepsMessages({ tag, verb, sql }: StatementEnd): boolean {
  if (tag === undefined) return false;
  const { warnings, forgets } = decodeTag(tag);
  if (warnings > 0 || forgets === true) return false;
  return TABLELESS.has(verb) || (verb === 'SELECT' && !/\bfrom\b/i.test(sql));
}

const CALCULATES = /\bsql_calc_found_rows\b/i;
/** LAST_INSERT_ID(value): the answer with rows does not tell it. */
const GIVES_ID = /\blast_insert_id\s*\(\s*[^\s)]/i;
/** What the tag of an answer with rows begins with. */
const ROWS = 'SELECT ';
const COUNTS = new Set(['INSERT', 'REPLACE', 'UPDATE', 'DELETE', 'LOAD']);
/** What they run is not seen. */
const OPAQUE = new Set(['', 'CALL', 'EXECUTE', 'BEGIN NOT ATOMIC']);

function rowCountOf({ tag, verb }: StatementEnd, { affectedRows }: Ending): bigint | undefined {
  if (verb === 'SELECT' || tag?.startsWith(ROWS) === true) return -1n;
  if (OPAQUE.has(verb)) return undefined;
  return affectedRows === 0n || COUNTS.has(verb) ? affectedRows : undefined;
}

/** A longer text is looked at right away and not kept. */
const MAX_KEPT_LENGTH = 4096;

/** SELECT sets it; what stands inside another statement only the server knows. */
function foundRowsOf(left: Left, { tag, verb, sql, answer }: StatementEnd): Left['foundRows'] {
  if (answer !== undefined) return left.foundRows;
  if (tag?.startsWith(ROWS) !== true)
    return OPAQUE.has(verb) || /\bselect\b/i.test(sql) ? undefined : left.foundRows;
  if (verb !== 'SELECT') return undefined;
  const found = { tag, sql };
  return sql.length > MAX_KEPT_LENGTH ? foundIn(found) : found;
}

/** Not always the rows that came: with LIMIT or in UNION only the server knows. */
function foundIn(foundRows: Left['foundRows']): bigint | undefined {
  if (foundRows === undefined || typeof foundRows === 'bigint') return foundRows;
  const { tag, sql } = foundRows;
  const isPlain = !/\b(limit|fetch|rownum|union|except|intersect|procedure)\b/i.test(sql);
  return isPlain && !CALCULATES.test(sql) ? BigInt(tag.split(' ', 2)[1]!) : undefined;
}

/** How many rows were found, and the id if the statement gives one: it was not asked with that of the session before. */
export function askedBehind({ tag, verb, sql }: StatementEnd): string | undefined {
  if (tag === undefined) return undefined;
  const id = GIVES_ID.test(sql) ? ", ' ', LAST_INSERT_ID()" : '';
  if (verb === 'SELECT')
    return id !== '' || CALCULATES.test(sql) ? `SELECT CONCAT(FOUND_ROWS()${id})` : undefined;
  return verb === 'DO' && id !== '' ? `SELECT CONCAT(''${id})` : undefined;
}

function answered(left: Left, { answer }: StatementEnd): Left {
  if (answer === undefined) return left;
  const [foundRows = '', lastInsertId = ''] = answer.split(' ');
  return {
    ...left,
    foundRows: foundRows === '' ? left.foundRows : BigInt(foundRows),
    lastInsertId: lastInsertId === '' ? left.lastInsertId : BigInt(lastInsertId),
  };
}

/** Statements that make a server answer for what the session did elsewhere. */
export function recall(state: SessionState, left: SessionLeft | undefined): readonly string[] | undefined {
  // Who asks for autocommit may ask for the id in the same statement.
  if (state === 'connection-id') return [];
  if (state !== 'last-insert-id' && state !== 'given-insert-id' && state !== 'autocommit') return undefined;
  return [`DO LAST_INSERT_ID(${ofSession(left).lastInsertId})`];
}

/** Decimals of a text (NOT_FIXED_DEC), as MariaDB and MySQL say them; they mean nothing. */
const NO_DECIMALS = 39;
const MYSQL_NO_DECIMALS = 31;

const LEVEL = {
  name: 'Level',
  typeOid: FIELD_TYPE.VAR_STRING,
  typeSize: 28,
  typeModifier: FIELD_FLAG.NOT_NULL,
};
const CODE = {
  name: 'Code',
  typeOid: FIELD_TYPE.LONG | UNSIGNED_TYPE,
  typeSize: 4,
  typeModifier: FIELD_FLAG.NOT_NULL | FIELD_FLAG.UNSIGNED | FIELD_FLAG.BINARY,
};
const MESSAGE = {
  name: 'Message',
  typeOid: FIELD_TYPE.VAR_STRING,
  typeSize: 2048,
  typeModifier: FIELD_FLAG.NOT_NULL,
};

const MESSAGE_COLUMNS: readonly ResultColumn[] = [
  { ...LEVEL, tableOid: 0, columnNumber: NO_DECIMALS },
  { ...CODE, tableOid: BINARY_COLLATION, columnNumber: 0 },
  { ...MESSAGE, tableOid: 0, columnNumber: NO_DECIMALS },
];

/** As a MySQL of today has them. */
const MYSQL_MESSAGE_COLUMNS: readonly ResultColumn[] = [
  { ...LEVEL, tableOid: 0, columnNumber: MYSQL_NO_DECIMALS },
  { ...CODE, typeSize: 5, tableOid: BINARY_COLLATION, columnNumber: 0 },
  { ...MESSAGE, tableOid: 0, columnNumber: MYSQL_NO_DECIMALS },
];

/** A row of messages, as SHOW WARNINGS has it: level, code, message. */
type Message = readonly (string | null)[];

const CONNECTION_ID = 'connection_id()';
const NUMBERS: Readonly<Record<string, Exclude<keyof Told, 'forgets'>>> = {
  [CONNECTION_ID]: 'connectionId',
  'row_count()': 'rowCount',
  'found_rows()': 'foundRows',
  'last_insert_id()': 'lastInsertId',
  '@@warning_count': 'warnings',
  '@@error_count': 'errors',
};
const NUMBER =
  '(?:row_count|found_rows|last_insert_id|connection_id)\\s*\\(\\s*\\)|@@(?:session\\s*\\.\\s*)?(?:warning|error)_count';
const ALIAS = '(?:\\s+as)?\\s*(?:`([^`]+)`|(?<=\\s)([a-z_][a-z0-9_]*)|\'([^\'\\\\]+)\'|"([^"\\\\]+)")';
const ITEM = new RegExp(`^\\s*(${NUMBER})(?:${ALIAS})?\\s*$`, 'i');
const SELECT = /^\s*select\s+(.*?)(?:\s+from\s+dual)?(?:\s+limit\s+1)?\s*;?\s*$/is;
const NO_ALIAS = /^(from|limit|where|into|union|order|group|having|for|procedure|as)$/i;
const SHOW_COUNT = /^\s*show\s+count\s*\(\s*\*\s*\)\s+(warnings|errors)\s*;?\s*$/i;
const SHOW = /^\s*show\s+(warnings|errors)(?:\s+limit\s+(?:(\d+)\s*,\s*)?(\d+))?\s*;?\s*$/i;

/**
 * The answer to a statement that asks for nothing else than what the session has left; undefined when it asks for more, or for what is not known.
 * `isBinary`: the rows are those of a prepared statement.
 */
export function tellState(
  sql: string,
  before: SessionLeft | undefined,
  messages: readonly Message[] | undefined,
  isBinary: boolean,
  connectionId: number | undefined,
): StateAnswer | undefined {
  const kept = ofSession(before);
  const left: Told = {
    ...kept,
    foundRows: foundIn(kept.foundRows),
    connectionId: connectionId === undefined ? undefined : BigInt(connectionId),
  };
  const count = SHOW_COUNT.exec(sql)?.[1]?.toLowerCase();
  if (count !== undefined) {
    const name = count === 'errors' ? 'error_count' : 'warning_count';
    return numbersAnswer(left, [{ name: `@@session.${name}`, asked: `@@${name}` }], isBinary);
  }
  const show = SHOW.exec(sql);
  if (show !== null) return messages && messagesAnswer(left, messages, show, isBinary);
  const items = SELECT.exec(sql)?.[1]?.split(',').map(itemOf);
  if (items === undefined || items.some((item) => item === undefined)) return undefined;
  const isCleared = left.forgets ? { warnings: 0n, errors: 0n } : {};
  return numbersAnswer(left, items as Item[], isBinary, isCleared);
}

/** The number that the client was told is its own; servers have others. */
interface Told extends Left {
  readonly foundRows: bigint | undefined;
  readonly connectionId: bigint | undefined;
}

interface Item {
  readonly name: string;
  readonly asked: string;
}

function itemOf(text: string): Item | undefined {
  const [, source, ...aliases] = ITEM.exec(text) ?? [];
  if (source === undefined) return undefined;
  const alias = aliases.find((found) => found !== undefined);
  if (alias !== undefined && NO_ALIAS.test(alias)) return undefined;
  const asked = source.toLowerCase().replace(/\s+/g, '').replace('session.', '');
  return { name: alias ?? source, asked };
}

function numbersAnswer(
  left: Told,
  items: readonly Item[],
  isBinary: boolean,
  changes: Partial<Left> = {},
): StateAnswer | undefined {
  const values = items.map(({ asked }) => left[NUMBERS[asked]!]);
  if (values.some((value) => value === undefined)) return undefined;
  return {
    columns: items.map(({ name, asked }) => numberColumn(name, asked)),
    rows: [values.map((value, index) => numberBytes(value!, items[index]!, isBinary))],
    left: leaving({ ...left, ...changes, rowCount: -1n, foundRows: 1n }),
  };
}

function leaving({ lastInsertId, rowCount, foundRows, warnings, errors, forgets }: Left): Left {
  return { lastInsertId, rowCount, foundRows, warnings, errors, forgets };
}

/** As servers define them. */
function numberColumn(name: string, asked: string): ResultColumn {
  const isFunction = asked.endsWith('()');
  const isConnection = asked === CONNECTION_ID;
  const isUnsigned = !isFunction || isConnection || asked === 'last_insert_id()';
  return {
    name,
    typeOid: (isConnection ? FIELD_TYPE.LONG : FIELD_TYPE.LONGLONG) | (isUnsigned ? UNSIGNED_TYPE : 0),
    typeSize: isConnection ? 10 : 21,
    typeModifier:
      FIELD_FLAG.BINARY | (isFunction ? FIELD_FLAG.NOT_NULL : 0) | (isUnsigned ? FIELD_FLAG.UNSIGNED : 0),
    tableOid: BINARY_COLLATION,
    columnNumber: 0,
  };
}

function messagesAnswer(
  left: Left,
  messages: readonly Message[],
  [, kind, offset = '0', limit]: RegExpExecArray,
  isBinary: boolean,
): StateAnswer {
  const isErrors = kind!.toLowerCase() === 'errors';
  const told = left.forgets && left.warnings === 0n ? [] : messages;
  const wanted = isErrors ? told.filter(([level]) => level === 'Error') : told;
  const end = limit === undefined ? wanted.length : Number(offset) + Number(limit);
  const rows = wanted.slice(Number(offset), end).map((message) => messageRow(message, isBinary));
  return {
    columns: left.forgets ? MYSQL_MESSAGE_COLUMNS : MESSAGE_COLUMNS,
    rows,
    left: leaving({ ...left, rowCount: -1n }),
  };
}

function messageRow([level, code, message]: Message, isBinary: boolean): RowFields {
  const number = isBinary ? int4(Number(code)) : Buffer.from(String(code));
  return [Buffer.from(level ?? ''), number, Buffer.from(message ?? '')];
}

function numberBytes(value: bigint, { asked }: Item, isBinary: boolean): Buffer {
  if (!isBinary) return Buffer.from(String(value));
  return asked === CONNECTION_ID ? int4(Number(value)) : int8(value);
}

function int8(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt.asIntN(64, value));
  return bytes;
}

function int4(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
