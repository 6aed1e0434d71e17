import { PostgresLexer, Tok } from '../sql/postgres-lexer.js';

/** Where the rows of INSERT … VALUES stand in its text. */
interface RowSpans {
  readonly spans: readonly (readonly [start: number, end: number])[];
}

/**
 * The same INSERT with only some of its rows, numbered from 0; everything else stays as the client wrote it, `$n` too.
 * A parameter that no longer occurs gets a type in a WITH query that is never run, since the server could not infer it.
 */
export function insertOfRows(sql: string, rows: readonly number[], expected: number): string | undefined {
  const { spans } = rowSpans(sql);
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

/** Rows are the parenthesised groups, outside of other parentheses, behind the VALUES that follows INSERT INTO. */
function rowSpans(sql: string): RowSpans {
  const lexer = new PostgresLexer(sql);
  const spans: [number, number][] = [];
  let depth = 0;
  let hasInto = false;
  let isInside = false;
  let start = 0;
  for (let kind = lexer.nextSolid(); kind !== Tok.end; kind = lexer.nextSolid()) {
    if (kind === Tok.word && depth === 0) {
      const word = lexer.source.toLowerCase();
      if (isInside) break;
      if (word === 'into') hasInto = true;
      else if (word === 'values' && hasInto) isInside = true;
    }
    if (kind !== Tok.symbol) continue;
    const symbol = sql[lexer.start];
    if (symbol === ';' && depth === 0) break;
    if (symbol === '(' && depth++ === 0) start = lexer.start;
    if (symbol === ')' && --depth === 0 && isInside) spans.push([start, lexer.end]);
  }
  return { spans };
}
