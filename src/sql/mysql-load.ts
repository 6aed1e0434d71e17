import type { Node } from '@pgsql/types';
import { readTableName } from './mysql-from.js';
import { Tok } from './mysql-lexer.js';
import { decodeLiteral, quoteText } from './mysql-literal.js';
import type { Reader } from './mysql-reader.js';
import { type LoadOptions, mysqlStatement } from './mysql-tree.js';

/** What a file is when nothing is said of it (manual, LOAD DATA, "Field and Line Handling"). */
const DEFAULTS = { terminatedBy: '\t', enclosedBy: '', escapedBy: '\\', startingBy: '', lineEnd: '\n' };

/**
 * LOAD DATA [LOW_PRIORITY | CONCURRENT] [LOCAL] INFILE 'file' [REPLACE | IGNORE] INTO TABLE name [PARTITION (…)] [CHARACTER SET name]
 * [FIELDS …] [LINES …] [IGNORE n LINES] [(columns)] [SET …]; of LOAD XML only the table is read.
 */
export function readLoad(reader: Reader): Node {
  reader.expect('LOAD');
  const isData = reader.accept('DATA');
  if (!isData) reader.expect('XML');
  const priority = reader.is('LOW_PRIORITY', 'CONCURRENT') ? reader.next().word : undefined;
  const isLocal = reader.accept('LOCAL');
  reader.expect('INFILE');
  const file = readText(reader);
  const duplicates = reader.is('REPLACE', 'IGNORE') ? reader.next().word : undefined;
  reader.expect('INTO', 'TABLE');
  const relation = readTableName(reader);
  if (isData)
    return mysqlStatement('LoadDataStmt', {
      relation,
      isLocal,
      options: { priority, file, duplicates, ...readOptions(reader) },
    });
  reader.skipAll();
  return mysqlStatement('LoadDataStmt', { relation, isLocal });
}

function readOptions(reader: Reader): Omit<LoadOptions, 'priority' | 'file' | 'duplicates'> {
  const hasPartitions = reader.accept('PARTITION');
  if (hasPartitions) reader.parenthesised(() => reader.list(() => reader.name()));
  const charset = readCharset(reader);
  const fields = readFields(reader);
  const lines = readLines(reader);
  const skippedLines = readSkipped(reader);
  const columns = reader.isSymbol('(') ? readColumns(reader) : undefined;
  const hasSet = reader.accept('SET');
  if (hasSet) reader.skipAll();
  return { hasPartitions, charset, ...fields, ...lines, skippedLines, columns, hasSet };
}

function readCharset(reader: Reader): string | undefined {
  if (!reader.accept('CHARACTER', 'SET') && !reader.accept('CHARSET')) return undefined;
  const name = reader.token.kind === Tok.string ? readText(reader) : reader.anyName();
  return name.toLowerCase();
}

function readFields(reader: Reader): Pick<LoadOptions, 'terminatedBy' | 'enclosedBy' | 'escapedBy'> {
  let { terminatedBy, enclosedBy, escapedBy } = DEFAULTS;
  if (reader.accept('FIELDS') || reader.accept('COLUMNS'))
    for (;;) {
      if (reader.accept('TERMINATED', 'BY')) terminatedBy = readText(reader);
      else if (reader.accept('OPTIONALLY', 'ENCLOSED', 'BY') || reader.accept('ENCLOSED', 'BY'))
        enclosedBy = readText(reader);
      else if (reader.accept('ESCAPED', 'BY')) escapedBy = readText(reader);
      else break;
    }
  return { terminatedBy, enclosedBy, escapedBy };
}

function readLines(reader: Reader): Pick<LoadOptions, 'startingBy' | 'lineEnd'> {
  let { startingBy, lineEnd } = DEFAULTS;
  if (reader.accept('LINES'))
    for (;;) {
      if (reader.accept('STARTING', 'BY')) startingBy = readText(reader);
      else if (reader.accept('TERMINATED', 'BY')) lineEnd = readText(reader);
      else break;
    }
  return { startingBy, lineEnd };
}

function readSkipped(reader: Reader): number {
  if (!reader.accept('IGNORE')) return 0;
  if (reader.token.kind !== Tok.integer) throw reader.unexpected();
  const lines = Number(reader.next().source);
  if (!reader.accept('LINES')) reader.expect('ROWS');
  return lines;
}

function readColumns(reader: Reader): (string | undefined)[] {
  return reader.parenthesised(() => {
    if (reader.isSymbol(')')) return [];
    return reader.list(() => {
      if (reader.token.kind !== Tok.variable) return readColumnName(reader);
      reader.next();
      return undefined;
    });
  });
}

/** Its last part, where the table stands before it. */
function readColumnName(reader: Reader): string {
  let name = reader.name();
  while (reader.acceptSymbol('.')) name = reader.anyName();
  return name;
}

/** A string, also in hexadecimal form. */
function readText(reader: Reader): string {
  const { kind, source } = reader.token;
  if (kind === Tok.string) {
    const value = decodeLiteral(source, reader.mode);
    if (value?.type !== 'string') throw reader.unexpected();
    reader.next();
    return value.text;
  }
  const hex = /^(?:x'([0-9a-f]*)'|0x([0-9a-f]+))$/i.exec(source);
  const digits = hex?.[1] ?? hex?.[2];
  if (kind !== Tok.bits || digits === undefined || digits.length % 2 === 1) throw reader.unexpected();
  reader.next();
  return Buffer.from(digits, 'hex').toString('latin1');
}

/** LOAD DATA LOCAL for a part of the file's rows: without the lines that are left out, and with everything said that has a default. */
export function writeLoad(
  options: LoadOptions,
  { table, charset, columns }: { table: string; charset: string; columns: readonly string[] },
): string {
  const { priority, file, duplicates, terminatedBy, enclosedBy, escapedBy, startingBy, lineEnd } = options;
  const words = [
    'LOAD DATA',
    priority,
    `LOCAL INFILE ${quoteText(file)}`,
    duplicates,
    `INTO TABLE ${table} CHARACTER SET ${charset}`,
    `FIELDS TERMINATED BY ${quoteText(terminatedBy)} ENCLOSED BY ${quoteText(enclosedBy)} ESCAPED BY ${quoteText(escapedBy)}`,
    `LINES STARTING BY ${quoteText(startingBy)} TERMINATED BY ${quoteText(lineEnd)}`,
    `(${columns.join(', ')})`,
  ];
  return words.filter((word) => word !== undefined).join(' ');
}
