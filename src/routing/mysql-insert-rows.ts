import { MysqlLexer, Tok } from '../sql/mysql-lexer.js';
import { quoteName } from '../sql/mysql-token.js';
import type { Plan } from './plan.js';
import type { NumberedText } from './router.js';
import type { RowsText } from './sql-dialect.js';

type Span = readonly [start: number, end: number];
type NumbersPlace = NonNullable<Plan['numbers']>;

/** Where the parts of an INSERT stand in its text. */
interface InsertSpans {
  /** The list of columns, with its parentheses. */
  readonly columns: Span | undefined;
  readonly rows: readonly Span[];
  /** Where each row begins: at the word ROW before it, if it is there. */
  readonly starts: readonly number[];
  /** Where the assignments of INSERT … SET end. */
  readonly setEnd: number | undefined;
  readonly alias: AliasSpans | undefined;
}

/** AS new (a, b) */
interface AliasSpans {
  readonly nameEnd: number;
  /** Where the parenthesis of its columns closes. */
  readonly columnsEnd: number | undefined;
}

/** The same INSERT with only some of its rows, numbered from 0; parameters are those that are left, in order. */
export function mysqlInsertOfRows(
  sql: string,
  rows: readonly number[],
  expected: number,
): RowsText | undefined {
  const { rows: parentheses, starts } = insertSpans(sql);
  const spans = parentheses.map(([, end], row): Span => [starts[row]!, end]);
  if (spans.length !== expected || expected === 0) return undefined;
  const first = spans[0]![0];
  const last = spans.at(-1)![1];
  const text =
    sql.slice(0, first) + rows.map((row) => sql.slice(...spans[row]!)).join(', ') + sql.slice(last);
  const isKept = (at: number) =>
    at < first || at >= last || rows.some((row) => at >= spans[row]![0] && at < spans[row]![1]);
  const places = parameterPlaces(sql);
  const kept = places.flatMap((at, index) => (isKept(at) ? [index] : []));
  // Rows come in ascending order, so that parameters do too.
  return kept.length === places.length ? { sql: text } : { sql: text, parameters: kept };
}

function parameterPlaces(sql: string): number[] {
  const lexer = new MysqlLexer(sql);
  const places: number[] = [];
  for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next())
    if (kind === Tok.parameter) places.push(lexer.start);
  return places;
}

/** What ends the rows or the assignments. */
const ENDS = new Set(['on', 'returning', 'as']);

/** INSERT [INTO] table [(columns)] VALUES (…), (…) or SET a = b, … */
function insertSpans(sql: string): InsertSpans {
  const lexer = new MysqlLexer(sql);
  const rows: Span[] = [];
  const starts: number[] = [];
  let columns: Span | undefined;
  let setEnd: number | undefined;
  let alias: AliasSpans | undefined;
  let rowWord: number | undefined;
  let part: 'head' | 'rows' | 'set' = 'head';
  let depth = 0;
  let start = 0;
  let lastEnd = 0;
  let words = 0;
  for (let kind = lexer.nextSolid(); kind !== Tok.end; kind = lexer.nextSolid()) {
    const symbol = kind === Tok.symbol ? lexer.source : '';
    if (symbol === ';' && depth === 0) break;
    const word = kind === Tok.word && depth === 0 ? lexer.source.toLowerCase() : '';
    if (part !== 'head' && ENDS.has(word)) {
      if (word === 'as') alias = aliasSpans(lexer);
      break;
    }
    if (part === 'rows' && word === 'row') rowWord = lexer.start;
    if (part === 'head' && words++ > 0 && (word === 'values' || word === 'value')) part = 'rows';
    else if (part === 'head' && words > 1 && word === 'set') part = 'set';
    if (symbol === '(' && depth++ === 0) start = lexer.start;
    if (symbol === ')' && --depth === 0) {
      if (part === 'rows') {
        rows.push([start, lexer.end]);
        starts.push(rowWord ?? start);
        rowWord = undefined;
      }
      // PARTITION (p) stands before the columns.
      else if (part === 'head') columns = [start, lexer.end];
    }
    lastEnd = lexer.end;
  }
  if (part === 'set') setEnd = lastEnd;
  return { columns, rows, starts, setEnd, alias };
}

/** What stands behind AS. */
function aliasSpans(lexer: MysqlLexer): AliasSpans {
  lexer.nextSolid();
  const nameEnd = lexer.end;
  const isSymbol = (symbol: string) => lexer.nextSolid() === Tok.symbol && lexer.source === symbol;
  if (!isSymbol('(')) return { nameEnd, columnsEnd: undefined };
  // A name, and then a comma or the end.
  do lexer.nextSolid();
  while (isSymbol(','));
  return { nameEnd, columnsEnd: lexer.start };
}

/** The same INSERT with a number for each row that leaves the column to the database; undefined when that cannot be written. */
export function insertWithNumbers(
  sql: string,
  place: NumbersPlace,
  numbers: readonly bigint[],
): string | undefined {
  const edits = numberEdits(sql, place, numbers.map(String));
  return edits === undefined ? undefined : edited(sql, edits);
}

/** The same with a parameter for each number, for a statement that runs with several sets of values. */
export function insertWithNumberParameters(sql: string, place: NumbersPlace): NumberedText | undefined {
  const edits = numberEdits(sql, place, new Array<string>(place.rows).fill('?'));
  if (edits === undefined) return undefined;
  const places = parameterPlaces(sql);
  const added = edits.filter(({ text }) => text.endsWith('?'));
  const parameters = added.map(({ at }, index) => places.filter((before) => before < at).length + index);
  return { sql: edited(sql, edits), parameters };
}

interface Edit {
  readonly at: number;
  readonly until: number;
  readonly text: string;
}

/** `numbers`: what is written for each row that leaves the column to the database: by leaving it out, or by NULL or DEFAULT. */
function numberEdits(
  sql: string,
  { column: name, position, aliasNames }: NumbersPlace,
  numbers: readonly string[],
): Edit[] | undefined {
  const column = quoteName(name);
  const { columns, rows, setEnd, alias } = insertSpans(sql);
  const edits: Edit[] = [];
  const left = [...numbers];
  const nextNumber = () => String(left.shift());
  if (setEnd !== undefined && position === -1)
    edits.push({ at: setEnd, until: setEnd, text: `, ${column} = ${nextNumber()}` });
  else if (setEnd !== undefined) {
    const item = assignmentSpan(sql, setEnd, position);
    if (item === undefined) return undefined;
    edits.push({ at: item[0], until: item[1], text: nextNumber() });
  } else if (position === -1) {
    if (columns === undefined || rows.length !== left.length) return undefined;
    const isEmpty = isBlank(sql, columns);
    edits.push({ at: columns[1] - 1, until: columns[1] - 1, text: `${isEmpty ? '' : ', '}${column}` });
    for (const row of rows)
      edits.push({
        at: row[1] - 1,
        until: row[1] - 1,
        text: `${isBlank(sql, row) ? '' : ', '}${nextNumber()}`,
      });
  } else {
    for (const row of rows) {
      const item = itemSpan(sql, row, position);
      if (item === undefined) return undefined;
      if (!/^(null|default)$/i.test(sql.slice(...item))) continue;
      edits.push({ at: item[0], until: item[1], text: nextNumber() });
    }
  }
  if (alias !== undefined && position === -1) edits.push(aliasEdit(alias, aliasNames ?? []));
  if (left.length > 0 || edits.some(({ text }) => text.includes('undefined'))) return undefined;
  return edits;
}

/** The row alias gets a column more, under a name that nobody uses: that of the table's would make the column's own name ambiguous. */
function aliasEdit({ nameEnd, columnsEnd }: AliasSpans, names: readonly string[]): Edit {
  const added = quoteName('ringferry_number');
  if (columnsEnd !== undefined) return { at: columnsEnd, until: columnsEnd, text: `, ${added}` };
  const list = [...names.map(quoteName), added].join(', ');
  return { at: nameEnd, until: nameEnd, text: ` (${list})` };
}

function edited(sql: string, edits: readonly Edit[]): string {
  let text = '';
  let from = 0;
  for (const { at, until, text: put } of edits) {
    text += sql.slice(from, at) + put;
    from = until;
  }
  return text + sql.slice(from);
}

function isBlank(sql: string, [start, end]: Span): boolean {
  const lexer = new MysqlLexer(sql.slice(start + 1, end - 1));
  return lexer.nextSolid() === Tok.end;
}

/** One of the values with commas between them in a parenthesis. */
function itemSpan(sql: string, [start, end]: Span, position: number): Span | undefined {
  return solidSpan(sql, start + 1, end - 1, position);
}

/** The value of one of SET's assignments. */
function assignmentSpan(sql: string, setEnd: number, position: number): Span | undefined {
  const lexer = new MysqlLexer(sql);
  let from: number | undefined;
  for (let kind = lexer.nextSolid(); kind !== Tok.end && from === undefined; kind = lexer.nextSolid())
    if (kind === Tok.word && lexer.source.toLowerCase() === 'set') from = lexer.end;
  const item = from === undefined ? undefined : solidSpan(sql, from, setEnd, position);
  if (item === undefined) return undefined;
  const equals = sql.slice(...item).indexOf('=');
  return equals === -1 ? undefined : solidSpan(sql, item[0] + equals + 1, item[1], 0);
}

/** Without white space and comments around it. */
function solidSpan(sql: string, start: number, end: number, position: number): Span | undefined {
  const lexer = new MysqlLexer(sql.slice(start, end));
  let depth = 0;
  let at = 0;
  let span: [number, number] | undefined;
  for (let kind = lexer.nextSolid(); kind !== Tok.end; kind = lexer.nextSolid()) {
    const symbol = kind === Tok.symbol ? lexer.source : '';
    if (symbol === '(') depth++;
    if (symbol === ')') depth--;
    if (symbol === ',' && depth === 0) {
      if (at++ === position) return span;
      span = undefined;
      continue;
    }
    if (at !== position) continue;
    span ??= [start + lexer.start, start + lexer.end];
    span[1] = start + lexer.end;
  }
  return at === position ? span : undefined;
}
