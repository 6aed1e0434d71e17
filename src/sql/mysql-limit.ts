import type { Node } from '@pgsql/types';
import { readConstant } from './mysql-constant.js';
import { Tok } from './mysql-lexer.js';
import type { Reader } from './mysql-reader.js';
import { type Fields, makeNode, rangeNode } from './mysql-tree.js';

/** LIMIT n, LIMIT m, n, LIMIT n OFFSET m, and the standard's OFFSET … FETCH …; numbers and parameters only. */
export function readLimit(reader: Reader): Fields {
  if (reader.accept('LIMIT')) {
    if (reader.is('ROWS')) throw reader.unexpected();
    const first = readCount(reader);
    const limit = reader.acceptSymbol(',')
      ? { limitOffset: first, limitCount: readCount(reader) }
      : { limitCount: first, limitOffset: reader.accept('OFFSET') ? readCount(reader) : undefined };
    // ROWS EXAMINED stops in the middle, on each server elsewhere.
    if (reader.is('ROWS')) throw reader.unexpected();
    return { ...limit, limitOption: 'LIMIT_OPTION_COUNT' };
  }
  const limitOffset = reader.accept('OFFSET') ? readCount(reader) : undefined;
  if (limitOffset !== undefined && !reader.accept('ROW')) reader.expect('ROWS');
  if (!reader.accept('FETCH')) return limitOffset === undefined ? {} : { limitOffset };
  if (!reader.accept('FIRST')) reader.expect('NEXT');
  const limitCount = reader.is('ROW', 'ROWS') ? { A_Const: { ival: { ival: 1 } } } : readCount(reader);
  if (!reader.accept('ROW')) reader.expect('ROWS');
  const isWithTies = reader.accept('WITH', 'TIES');
  if (!isWithTies) reader.expect('ONLY');
  return {
    limitOffset,
    limitCount,
    limitOption: isWithTies ? 'LIMIT_OPTION_WITH_TIES' : 'LIMIT_OPTION_COUNT',
  };
}

export function readCount(reader: Reader): Node {
  const { kind, start } = reader.token;
  if (kind === Tok.parameter) {
    reader.next();
    return makeNode('ParamRef', { number: ++reader.parameters, location: reader.byteOffset(start) });
  }
  const constant = kind === Tok.integer ? readConstant(reader) : undefined;
  if (constant === undefined) throw reader.unexpected();
  return constant;
}

/** FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE, with what is done about rows that others have locked. */
export function readLocking(reader: Reader): Node[] | undefined {
  const clauses: Node[] = [];
  for (;;) {
    if (reader.accept('LOCK', 'IN', 'SHARE', 'MODE')) clauses.push(lockNode(reader, 'LCS_FORSHARE', true));
    else if (reader.accept('FOR', 'UPDATE')) clauses.push(lockNode(reader, 'LCS_FORUPDATE', false));
    else if (reader.accept('FOR', 'SHARE')) clauses.push(lockNode(reader, 'LCS_FORSHARE', false));
    else return clauses.length === 0 ? undefined : clauses;
  }
}

function lockNode(reader: Reader, strength: string, isShareMode: boolean): Node {
  const lockedRels = reader.accept('OF')
    ? reader.list(() => rangeNode({ relname: reader.name(), inh: true, relpersistence: 'p' }))
    : undefined;
  let waitPolicy = 'LockWaitBlock';
  let wait: number | undefined;
  if (reader.accept('NOWAIT')) waitPolicy = 'LockWaitError';
  else if (reader.accept('SKIP', 'LOCKED')) waitPolicy = 'LockWaitSkip';
  else if (reader.accept('WAIT')) {
    if (reader.token.kind !== Tok.integer) throw reader.unexpected();
    wait = Number(reader.next().source);
  }
  return makeNode('LockingClause', { lockedRels, strength, waitPolicy, wait, isShareMode });
}
