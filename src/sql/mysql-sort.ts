import type { Node } from '@pgsql/types';
import type { Reader } from './mysql-reader.js';
import { makeNode } from './mysql-tree.js';

/** One item of ORDER BY. NULLs come first unless it is descending; there are no words for it. */
export function readSortItem(reader: Reader): Node {
  const node = reader.grammar.expression(reader);
  const direction = reader.accept('DESC')
    ? 'SORTBY_DESC'
    : reader.accept('ASC')
      ? 'SORTBY_ASC'
      : 'SORTBY_DEFAULT';
  return makeNode('SortBy', { node, sortby_dir: direction, sortby_nulls: 'SORTBY_NULLS_DEFAULT' });
}

export function readOrderBy(reader: Reader): Node[] | undefined {
  return reader.accept('ORDER', 'BY') ? reader.list(() => readSortItem(reader)) : undefined;
}
