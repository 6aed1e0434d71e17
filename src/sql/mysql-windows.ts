import type { Node, WindowDef } from '@pgsql/types';
import { readConstant } from './mysql-constant.js';
import type { Reader } from './mysql-reader.js';
import { readOrderBy } from './mysql-sort.js';
import { present } from './mysql-tree.js';

/** `([name] [PARTITION BY …] [ORDER BY …] [frame])`; the frame is kept as `frame`, in words, since it changes nothing of where rows are. */
export function readWindow(reader: Reader): WindowDef {
  return reader.parenthesised(() => {
    const refname = reader.isName() && !reader.is('RANGE', 'ROWS', 'GROUPS') ? reader.name() : undefined;
    const partitionClause = reader.accept('PARTITION', 'BY')
      ? reader.list(() => reader.grammar.expression(reader))
      : undefined;
    const orderClause = readOrderBy(reader);
    return present<WindowDef>({ refname, partitionClause, orderClause, frame: readFrame(reader) });
  });
}

/** WINDOW name AS (…), … */
export function readWindows(reader: Reader): Node[] {
  return reader.list(() => {
    const name = reader.name();
    reader.expect('AS');
    return { WindowDef: { ...readWindow(reader), name } };
  });
}

function readFrame(reader: Reader): string | undefined {
  if (!reader.is('ROWS', 'RANGE')) return undefined;
  const kind = reader.next().word;
  if (!reader.accept('BETWEEN')) return `${kind} ${readBound(reader)}`;
  const from = readBound(reader);
  reader.expect('AND');
  return `${kind} BETWEEN ${from} AND ${readBound(reader)}`;
}

function readBound(reader: Reader): string {
  if (reader.accept('CURRENT', 'ROW')) return 'CURRENT ROW';
  if (reader.accept('UNBOUNDED')) return `UNBOUNDED ${readSide(reader)}`;
  const constant = readConstant(reader);
  if (constant === undefined || !('A_Const' in constant) || constant.A_Const.ival === undefined)
    throw reader.unexpected();
  return `${constant.A_Const.ival.ival ?? 0} ${readSide(reader)}`;
}

function readSide(reader: Reader): string {
  if (!reader.is('PRECEDING', 'FOLLOWING')) throw reader.unexpected();
  return reader.next().word;
}
