import type { StatementEnd } from '../proxy/dialect.js';
import type { ParameterValues } from '../routing/plan.js';
import { binaryAsText } from './binary-text.js';
import { FIELD_TYPE } from './capabilities.js';
import { decodeTag, tagWithNumber } from './tag.js';

// An OK tells the AUTO_INCREMENT number of a row that the client numbered itself, too, but only one that the server gave is its LAST_INSERT_ID()
// (MariaDB manual, "LAST_INSERT_ID"; held against real servers). Where the number may be one of the statement's own values, the server is asked.

const QUESTION = 'SELECT LAST_INSERT_ID()';
const RETURNING = /^\s*(?:insert|replace)\b.*\breturning\b/is;
const INSERT = /^\s*(?:insert|replace)\b/i;
const KEEPING = /^\s*replace\b|\b(?:select|returning|duplicate)\b/i;
const VALUES = /^\s*insert\b.*?\bvalues?\b/is;
const PLAIN = /[\s(),?;]|null\b|default\b|(\d+(?:\.\d+)?)(?!\w)|'((?:[^']|'')*)'/iy;
/** What is longer is not looked through. */
const MAX_TEXT_LENGTH = 0x10000;

/** What to ask the server before the number in the tag is believed; undefined: there is none, or it is certain. */
export function askedOfNumber(end: StatementEnd): string | undefined {
  const { tag, sql, parameters } = end;
  if (tag === undefined) return undefined;
  if (tellsNoNumber(end)) return QUESTION;
  const { lastInsertId } = decodeTag(tag);
  if (lastInsertId === 0n) return undefined;
  const values = plainValues(sql);
  const bound = boundValues(parameters);
  const isCertain =
    values !== undefined &&
    bound !== undefined &&
    !isHighest(lastInsertId) &&
    ![...values, ...bound].some((value) => Math.abs(Number.parseFloat(value) - Number(lastInsertId)) <= 1);
  return isCertain ? undefined : QUESTION;
}

/** The tag with the number that the server gave, if any: its answer is of an earlier statement, perhaps of another client, where this one was given none. */
export function tagAsAnswered(end: StatementEnd & { readonly tag: string }, answer: string): string {
  const { tag } = end;
  // Its backend was told the session's own number first.
  if (tellsNoNumber(end)) return tagWithNumber(tag, BigInt(answer));
  const { lastInsertId } = decodeTag(tag);
  return lastInsertId === 0n || lastInsertId === BigInt(answer) ? tag : tagWithNumber(tag, 0n);
}

/** An answer with rows has no place for it. */
function tellsNoNumber({ tag, sql }: StatementEnd): boolean {
  return tag?.startsWith('SELECT ') === true && RETURNING.test(sql);
}

/** May the server leave the number of an earlier statement behind this write, and the answer look otherwise? Its backend is told the session's own first. */
export function mayKeepNumber(sql: string): boolean {
  return INSERT.test(sql) && (sql.length > MAX_TEXT_LENGTH || KEEPING.test(sql));
}

/** A value that is too high for a column may have become the highest of its type. */
function isHighest(id: bigint): boolean {
  return id >= 127n && (id & (id + 1n)) === 0n;
}

/** Numbers and strings of INSERT … VALUES; undefined where there may be anything else. */
function plainValues(sql: string): string[] | undefined {
  const head = sql.length > MAX_TEXT_LENGTH || sql.includes('\\') ? null : VALUES.exec(sql);
  if (head === null) return undefined;
  const values: string[] = [];
  let at = head[0].length;
  while (at < sql.length) {
    PLAIN.lastIndex = at;
    const found = PLAIN.exec(sql);
    if (found === null) return undefined;
    const value = found[1] ?? found[2];
    if (value !== undefined) values.push(value);
    at = PLAIN.lastIndex;
  }
  return values;
}

function boundValues(parameters: ParameterValues | undefined): string[] | undefined {
  if (parameters?.sets !== undefined) return undefined;
  const values: string[] = [];
  for (let index = 0; index < (parameters?.count ?? 0); index++) {
    const typeOid = parameters!.typeOid(index);
    // Its text has fewer digits than it has.
    if ((typeOid & 0xff) === FIELD_TYPE.FLOAT) return undefined;
    const bytes = parameters!.bytes(index);
    if (bytes === undefined) continue;
    const column = { name: '', typeOid, typeSize: 0, typeModifier: 0, tableOid: 0, columnNumber: 31 };
    values.push(binaryAsText(bytes, column).toString('latin1'));
  }
  return values;
}
