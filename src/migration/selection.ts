import { OperatingError } from '../lib/errors.js';
import { canonicalKey } from '../topology/key.js';
import { tableKey } from '../topology/keyspace.js';
import type { Range } from '../topology/ring.js';
import { tokenOf } from '../topology/token.js';
import type { CopyTask, RowSelection, StreamSpec } from './engine.js';

/** The shard key of a task that selects by ranges. */
export function keyOf(task: CopyTask): NonNullable<CopyTask['table']['key']> {
  const key = task.table.key;
  if (key === undefined)
    throw new OperatingError(
      'internal',
      `table ${tableKey(task.table)} has no shard key but ranges to select by`,
    );
  return key;
}

/** The same condition on one value in JavaScript: does a row with this key belong to the selection? */
export function selectionTest(task: CopyTask): (keyText: string | null) => boolean {
  if (task.selection.type === 'all') return () => true;
  const { type } = keyOf(task);
  const ranges = sortedRanges(task.selection);
  return (keyText) => {
    if (keyText === null) return false;
    const canonical = canonicalKey(type, keyText);
    if (canonical === undefined)
      throw new OperatingError(
        'invalid-key',
        `table ${tableKey(task.table)}: a shard key of type ${type} cannot be read`,
      );
    return holds(ranges, tokenOf(canonical));
  };
}

function sortedRanges(selection: RowSelection & { type: 'ranges' }): readonly Range[] {
  return [...selection.ranges].sort((a, b) => (a.low < b.low ? -1 : 1));
}

function holds(ranges: readonly Range[], token: bigint): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.high < token) low = middle + 1;
    else high = middle;
  }
  return low < ranges.length && ranges[low]!.low <= token;
}

/** Changes to reference tables reach the way back's target through the proxy itself, on every shard. */
export function streamedTasks({ direction, tasks }: StreamSpec): readonly CopyTask[] {
  return direction === 'forward' ? tasks : tasks.filter((task) => task.selection.type === 'ranges');
}

/** One task a table, with everything that its tasks select: a source may move rows of one table to several targets. */
export function mergeTasks(tasks: readonly CopyTask[]): CopyTask[] {
  const merged = new Map<string, CopyTask>();
  for (const task of tasks) {
    const key = tableKey(task.table);
    const other = merged.get(key);
    merged.set(
      key,
      other === undefined ? task : { table: task.table, selection: union(other.selection, task.selection) },
    );
  }
  return [...merged.values()];
}

function union(one: RowSelection, other: RowSelection): RowSelection {
  if (one.type === 'all' || other.type === 'all') return { type: 'all' };
  return {
    type: 'ranges',
    ranges: [...one.ranges, ...other.ranges].sort((a, b) => (a.low < b.low ? -1 : 1)),
  };
}
