import { PostgresLexer, Tok } from '../sql/postgres-lexer.js';

type Span = readonly [start: number, end: number];

/** Where the parts of INSERT … VALUES stand in its text. */
interface InsertSpans {
  /** The list of columns, with its parentheses. */
  readonly columns: Span | undefined;
  readonly hasOverriding: boolean;
  /** Where VALUES stands. */
  readonly values: number;
  readonly rows: readonly Span[];
}

/**
 * The same INSERT with only some of its rows, numbered from 0; everything else stays as the client wrote it, `$n` too.
 * A parameter that no longer occurs gets a type in a WITH query that is never run, since the server could not infer it.
 */
export function insertOfRows(sql: string, rows: readonly number[], expected: number): string | undefined {
  const spans = insertSpans(sql).rows;
  if (spans.length !== expected || expected === 0) return undefined;
  const before = sql.slice(0, spans[0]![0]);
  const after = sql.slice(spans.at(-1)![1]);
  return before + rows.map((row) => sql.slice(...spans[row]!)).join(', ') + after;
}

/** Numbers of the parameters in a text, from 0. */
export function parametersIn(sql: string): Set<number> {
  const lexer = new PostgresLexer(sql);
  const found = new Set<number>();
  for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next())
    if (kind === Tok.parameter) found.add(Number(lexer.source.slice(1)) - 1);
  return found;
}

/**
 * The same INSERT with a number for each row that leaves a column to the database: by leaving the column out, or by DEFAULT. `column`:
 * quoted; `position`: where it stands among the values, -1 when the list of columns leaves it out. undefined when that cannot be written.
 */
export function insertWithNumbers(
  sql: string,
  column: string,
  position: number,
  numbers: readonly bigint[],
): string | undefined {
  const { columns, hasOverriding, values, rows } = insertSpans(sql);
  const edits: { readonly at: number; readonly until: number; readonly text: string }[] = [];
  const left = [...numbers];
  const isLeftOut = position === -1;
  if (isLeftOut) {
    if (columns === undefined) return undefined;
    edits.push({ at: columns[1] - 1, until: columns[1] - 1, text: `, ${column}` });
  }
  // An identity that is GENERATED ALWAYS takes no number otherwise. Where rows differ, it is for the server to say that it takes none.
  if (!hasOverriding && rows.length === numbers.length)
    edits.push({ at: values, until: values, text: 'OVERRIDING SYSTEM VALUE ' });
  for (const row of rows) {
    const items = itemSpans(sql, row);
    if (isLeftOut || items.length === position) {
      edits.push({ at: row[1] - 1, until: row[1] - 1, text: `, ${left.shift()}` });
      continue;
    }
    const item = items[position];
    if (item === undefined) return undefined;
    if (/^default$/i.test(sql.slice(...item)))
      edits.push({ at: item[0], until: item[1], text: String(left.shift()) });
  }
  if (left.length > 0 || edits.some(({ text }) => text.includes('undefined'))) return undefined;
  let text = '';
  let from = 0;
  for (const { at, until, text: put } of edits) {
    text += sql.slice(from, at) + put;
    from = until;
  }
  return text + sql.slice(from);
}

/** The values of a row, without white space and comments around them. */
function itemSpans(sql: string, [start, end]: Span): Span[] {
  const lexer = new PostgresLexer(sql.slice(start + 1, end - 1));
  const spans: Span[] = [];
  let depth = 0;
  let span: [number, number] | undefined;
  for (let kind = lexer.nextSolid(); kind !== Tok.end; kind = lexer.nextSolid()) {
    const symbol = kind === Tok.symbol ? lexer.source : '';
    if (symbol === '(' || symbol === '[') depth++;
    if (symbol === ')' || symbol === ']') depth--;
    if (symbol === ',' && depth === 0) {
      if (span !== undefined) spans.push(span);
      span = undefined;
      continue;
    }
    span ??= [start + 1 + lexer.start, start + 1 + lexer.end];
    span[1] = start + 1 + lexer.end;
  }
  if (span !== undefined) spans.push(span);
  return spans;
}

/** Rows are the parenthesised groups, outside of other parentheses, behind the VALUES that follows INSERT INTO; columns the last one before it. */
function insertSpans(sql: string): InsertSpans {
  const lexer = new PostgresLexer(sql);
  const rows: Span[] = [];
  let columns: Span | undefined;
  let hasOverriding = false;
  let values = -1;
  let depth = 0;
  let hasInto = false;
  let start = 0;
  for (let kind = lexer.nextSolid(); kind !== Tok.end; kind = lexer.nextSolid()) {
    if (kind === Tok.word && depth === 0) {
      const word = lexer.source.toLowerCase();
      if (values !== -1) break;
      if (word === 'into') hasInto = true;
      else if (word === 'overriding') hasOverriding = true;
      else if (word === 'values' && hasInto) values = lexer.start;
    }
    if (kind !== Tok.symbol) continue;
    const symbol = sql[lexer.start];
    if (symbol === ';' && depth === 0) break;
    if (symbol === '(' && depth++ === 0) start = lexer.start;
    if (symbol !== ')' || --depth !== 0) continue;
    if (values !== -1) rows.push([start, lexer.end]);
    else if (hasInto) columns = [start, lexer.end];
  }
  return { columns, hasOverriding, values, rows };
}
