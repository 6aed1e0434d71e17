/** What a statement in the log means to a stream of rows. */
export type LogStatement =
  | { readonly type: 'commit' }
  | { readonly type: 'rollback' }
  /** To a savepoint. Stands in the log only when tables without transactions were written. */
  | { readonly type: 'rollback-to' }
  /** Changes no rows of tables: savepoints, XA START, GRANT, views, triggers, indexes … */
  | { readonly type: 'nothing' }
  | {
      readonly type: 'change';
      readonly isTruncate: boolean;
      readonly isDdl: boolean;
      /** Whether it may be about this table; in doubt, yes. */
      concerns(schema: string, table: string): boolean;
    };

const DDL =
  /^(ALTER|DROP|RENAME|TRUNCATE|CREATE)\b(?!\s+(OR\s+REPLACE\s+)?(DEFINER|ALGORITHM|SQL|AGGREGATE|TRIGGER|VIEW|FUNCTION|PROCEDURE|EVENT|USER|ROLE|SERVER|PACKAGE|TEMPORARY|INDEX|UNIQUE|FULLTEXT|SPATIAL|SEQUENCE)\b)/i;
const ROW_CHANGE = /^(INSERT|UPDATE|DELETE|REPLACE|LOAD)\b/i;
const NAME = '(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[\\p{L}\\p{N}_$]+)';
/** Of what we make ourselves on a table that takes part: only the next AUTO_INCREMENT value. */
const AUTO_INCREMENT = new RegExp(
  `^ALTER\\s+TABLE\\s+${NAME}(?:\\s*\\.\\s*${NAME})?\\s+AUTO_INCREMENT\\s*=\\s*\\d+\\s*$`,
  'iu',
);
const TRUNCATE = /^TRUNCATE\b/i;
const COMMENTS = /\/\*(?!M?!)[\s\S]*?\*\//g;

/** Reads a Query event (MariaDB manual, QUERY_EVENT) as far as a stream must know. `session`: the database it was run in. */
export function readLogStatement(sql: string, session: string): LogStatement {
  const text = sql.replace(COMMENTS, ' ').trim();
  if (/^(COMMIT|XA\s+COMMIT)\b/i.test(text)) return { type: 'commit' };
  if (/^XA\s+ROLLBACK\b/i.test(text) || /^ROLLBACK\s*$/i.test(text)) return { type: 'rollback' };
  if (/^ROLLBACK\b/i.test(text)) return { type: 'rollback-to' };
  const isDdl = DDL.test(text) || /^\/\*M?!/.test(text);
  if ((!isDdl && !ROW_CHANGE.test(text)) || AUTO_INCREMENT.test(text)) return { type: 'nothing' };
  return {
    type: 'change',
    isTruncate: TRUNCATE.test(text),
    isDdl,
    concerns: (schema, table) => concerns(text, session, schema, table),
  };
}

/** CREATE and ALTER are about one table, and may name others. */
const NAMED = new RegExp(
  `^(?:CREATE|ALTER)\\s+(?:[A-Z]+\\s+){0,3}?TABLE\\s+(?:IF\\s+(?:NOT\\s+)?EXISTS\\s+)?(${NAME})(?:\\s*\\.\\s*(${NAME}))?`,
  'iu',
);

function unquoted(name: string): string {
  const quote = name[0]!;
  return quote === '`' || quote === '"' ? name.slice(1, -1).replaceAll(quote + quote, quote) : name;
}

/** Some servers fold names of tables. */
function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function concerns(text: string, session: string, schema: string, table: string): boolean {
  if (/^(DROP|ALTER)\s+(DATABASE|SCHEMA)\b/i.test(text)) return holdsName(text, schema);
  const [, one, other] = NAMED.exec(text) ?? [];
  if (one !== undefined) {
    const [inSchema, name] = other === undefined ? [session, one] : [one, other];
    return same(unquoted(inSchema), schema) && same(unquoted(name), table);
  }
  return holdsName(text, table) && (session === schema || holdsName(text, schema));
}

/** As a word or quoted, in any case: some servers fold names of tables. */
function holdsName(text: string, name: string): boolean {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![\\p{L}\\p{N}_$])${escaped}(?![\\p{L}\\p{N}_$])`, 'iu').test(
    text.replaceAll('``', '`'),
  );
}
