import type { TransactionStatus } from '../pool/backend.js';
import { type Column, columns, type Row } from './command.js';

/** An answer that needs no command: what drivers say to any server. */
export interface SmallTalk {
  readonly tag: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** What the transaction becomes; undefined: as it was. */
  readonly transaction?: TransactionStatus;
}

/** What SHOW tells of settings that drivers ask for. */
export function consoleParameters(version: string): ReadonlyMap<string, string> {
  return new Map([
    ['server_version', `${version}/ringferry`],
    ['server_encoding', 'UTF8'],
    ['client_encoding', 'UTF8'],
    ['DateStyle', 'ISO, MDY'],
    ['TimeZone', 'UTC'],
    ['IntervalStyle', 'postgres'],
    ['integer_datetimes', 'on'],
    ['standard_conforming_strings', 'on'],
    ['is_superuser', 'on'],
    ['application_name', ''],
    ['extra_float_digits', '1'],
    ['transaction_isolation', 'read committed'],
    ['default_transaction_read_only', 'off'],
    ['search_path', ''],
  ]);
}

const TRANSACTION_WORDS: Readonly<
  Record<string, { readonly tag: string; readonly transaction: TransactionStatus }>
> = {
  BEGIN: { tag: 'BEGIN', transaction: 'open' },
  START: { tag: 'START TRANSACTION', transaction: 'open' },
  COMMIT: { tag: 'COMMIT', transaction: 'idle' },
  END: { tag: 'COMMIT', transaction: 'idle' },
  ROLLBACK: { tag: 'ROLLBACK', transaction: 'idle' },
  ABORT: { tag: 'ROLLBACK', transaction: 'idle' },
};

/** The answer to what drivers and psql send to every server (SET, SHOW of settings, BEGIN, SELECT 1); undefined for a command. */
export function smallTalk(sql: string, version: string): SmallTalk | undefined {
  const text = sql.replace(/[\s;]+$/, '');
  const word = /^\w+/.exec(text)?.[0].toUpperCase() ?? '';
  const transaction = TRANSACTION_WORDS[word];
  if (transaction !== undefined) return { ...transaction, columns: [], rows: [] };
  if (word === 'SET' || word === 'RESET') return { tag: word, columns: [], rows: [] };
  if (/^(DISCARD|DEALLOCATE|UNLISTEN)\b/i.test(text))
    return { tag: text.toUpperCase().split(/\s+/).slice(0, 2).join(' '), columns: [], rows: [] };
  if (word === 'SHOW') return showParameter(text, version);
  if (word === 'SELECT') return smallSelect(text, version);
  return undefined;
}

function showParameter(text: string, version: string): SmallTalk | undefined {
  const name = text
    .replace(/^show\s+/i, '')
    .trim()
    .toLowerCase()
    .replace(/^transaction\s+isolation\s+level$/, 'transaction_isolation')
    .replace(/^time\s+zone$/, 'timezone');
  for (const [known, value] of consoleParameters(version)) {
    if (known.toLowerCase() === name)
      return { tag: 'SHOW', columns: columns('text', known), rows: [[value]] };
  }
  return undefined;
}

function smallSelect(text: string, version: string): SmallTalk | undefined {
  const number = /^select\s+(\d{1,9})$/i.exec(text)?.[1];
  if (number !== undefined)
    return { tag: 'SELECT 1', columns: columns('int4', '?column?'), rows: [[Number(number)]] };
  if (/^select\s+(pg_catalog\.)?version\(\)$/i.test(text))
    return { tag: 'SELECT 1', columns: columns('text', 'version'), rows: [[`Ringferry ${version}`]] };
  return undefined;
}
