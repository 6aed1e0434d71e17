import type { SplitInsert } from '../proxy/dialect.js';
import type { OkMessage } from './result-messages.js';

/**
 * How a statement ended, as one text: `OK affectedRows lastInsertId warnings info…`. What the hall writes itself (`BEGIN`, `SELECT 3` …) is a tag
 * too, and stands for an OK with zeros.
 */
export interface Ending extends Pick<OkMessage, 'affectedRows' | 'lastInsertId' | 'warnings' | 'info'> {
  /** The server has forgotten what earlier statements warned of: `!` behind the warnings. */
  readonly forgets?: boolean;
}

const NOTHING: Ending = { affectedRows: 0n, lastInsertId: 0n, warnings: 0, info: '' };
/** The status flags and counts of an OK are two bytes each; warnings above are told as this many. */
const MAX_WARNINGS = 0xffff;

export function encodeTag(ending: Ending, forgets = ending.forgets === true): string {
  const { affectedRows, lastInsertId, warnings, info } = ending;
  const text = `OK ${affectedRows} ${lastInsertId} ${warnings}${forgets ? '!' : ''}`;
  return info === '' ? text : `${text} ${info}`;
}

const ROWS = /^SELECT (\d+)/;

/** The tag of an answer with rows. */
export function rowsTag(
  rows: number,
  ending: Pick<Ending, 'warnings'> & Partial<Ending>,
  forgets = ending.forgets === true,
): string {
  const { warnings, lastInsertId = 0n } = ending;
  const told = `SELECT ${rows} ${warnings}${forgets ? '!' : ''}`;
  if (lastInsertId !== 0n) return `${told} ${lastInsertId}`;
  return warnings === 0 && !forgets ? `SELECT ${rows}` : told;
}

/** The tag of one answer with so many rows, in place of several. */
export function mergedTag(rows: number, tags: readonly (string | undefined)[]): string {
  const { warnings, forgets } = decodeTag(sumTags(tags));
  return rowsTag(rows, { warnings }, forgets);
}

/** The same, of an INSERT whose rows got numbers from us: rows of RETURNING do not tell the first to the client, but later statements may ask for it. */
export function tagWithNumber(tag: string, first: bigint): string {
  const ending = { ...decodeTag(tag), lastInsertId: first };
  const rows = ROWS.exec(tag)?.[1];
  return rows === undefined ? encodeTag(ending) : rowsTag(Number(rows), ending);
}

export function decodeTag(tag: string): Ending {
  if (tag.startsWith('SELECT ')) return decodeRowsTag(tag);
  // What begins and ends transactions says nothing.
  if (tag === 'OK 0 0 0' || !tag.startsWith('OK ')) return NOTHING;
  const idAt = tag.indexOf(' ', 3) + 1;
  const warningsAt = tag.indexOf(' ', idAt) + 1;
  const infoAt = tag.indexOf(' ', warningsAt) + 1;
  const warnings = tag.slice(warningsAt, infoAt === 0 ? tag.length : infoAt - 1);
  return {
    affectedRows: BigInt(tag.slice(3, idAt - 1)),
    lastInsertId: BigInt(tag.slice(idAt, warningsAt - 1)),
    ...decodeWarnings(warnings),
    info: infoAt === 0 ? '' : tag.slice(infoAt),
  };
}

/** Most say nothing but their rows. */
function decodeRowsTag(tag: string): Ending {
  const warningsAt = tag.indexOf(' ', 7) + 1;
  if (warningsAt === 0) return NOTHING;
  const idAt = tag.indexOf(' ', warningsAt) + 1;
  const warnings = tag.slice(warningsAt, idAt === 0 ? tag.length : idAt - 1);
  return { ...NOTHING, ...decodeWarnings(warnings), lastInsertId: idAt === 0 ? 0n : BigInt(tag.slice(idAt)) };
}

/** `3`, or `3!`. */
function decodeWarnings(text: string): Pick<Ending, 'warnings' | 'forgets'> {
  const forgets = text.endsWith('!');
  const warnings = Number(forgets ? text.slice(0, -1) : text);
  return forgets ? { warnings, forgets } : { warnings };
}
/**
 * One tag for a statement that several shards ran: counts added, also those in the text that servers send (`Records: 3  Duplicates: 0
 * Warnings: 0`). The id is the first that a shard gave; of rows that the client numbered a server tells the last one's.
 */
export function sumTags(tags: readonly (string | undefined)[], split?: SplitInsert): string {
  const said = tags.filter((tag) => tag !== undefined);
  const endings = said.map(decodeTag);
  const isSplit = split !== undefined && split.rows.reduce((sum, rows) => sum + rows, 0) > 1;
  const infos = endings.map((ending, index) =>
    isSplit && split.rows[index] === 1 ? infoOfRow(ending, split.sql) : ending.info,
  );
  const sum = endings.reduce<Ending>(
    (total, ending) => ({
      affectedRows: total.affectedRows + ending.affectedRows,
      lastInsertId: total.lastInsertId === 0n ? ending.lastInsertId : total.lastInsertId,
      warnings: Math.min(MAX_WARNINGS, total.warnings + ending.warnings),
      info: '',
      ...(total.forgets === true || ending.forgets === true ? { forgets: true } : {}),
    }),
    NOTHING,
  );
  const ofLastRow = split === undefined ? 0n : decodeTag(tags[split.last] ?? '').lastInsertId;
  const lastInsertId = ofLastRow === 0n ? sum.lastInsertId : ofLastRow;
  const rows = said.map((tag) => ROWS.exec(tag)?.[1]);
  if (rows.length > 0 && rows.every((count) => count !== undefined))
    return rowsTag(
      rows.reduce((total, count) => total + Number(count), 0),
      { ...sum, lastInsertId: 0n },
    );
  const info = isSplit && infos.includes(undefined) ? '' : infos.reduce<string>(sumInfos, '');
  return encodeTag({ ...sum, lastInsertId, info });
}

const UPSERT = /\bon\s+duplicate\s+key\b/i;

/**
 * What a server would say of one row among several; undefined where its count does not tell. With CLIENT_FOUND_ROWS an upsert counts 1 for a new row as
 * well as for one that stays as it is.
 */
function infoOfRow({ affectedRows, warnings }: Ending, sql: string): string | undefined {
  if (affectedRows === 1n && UPSERT.test(sql)) return undefined;
  const duplicates = affectedRows === 0n ? 1n : affectedRows - 1n;
  return `Records: 1  Duplicates: ${duplicates}  Warnings: ${warnings}`;
}

const COUNT = /: (\d+)/g;

function sumInfos(first: string, second = ''): string {
  if (first === '' || second === '') return first + second;
  const counts = [...second.matchAll(COUNT)].map(([, count]) => BigInt(count!));
  // Texts of another kind cannot be added.
  if (first.replace(COUNT, '') !== second.replace(COUNT, '')) return '';
  let index = 0;
  return first.replace(COUNT, (_all, count: string) => `: ${BigInt(count) + counts[index++]!}`);
}
