import type { ShardName } from '../topology/ring.js';

/** A value of a unique index by its hash, by which the list that it comes from is sorted. */
export interface HashedValue<H extends bigint | string> {
  readonly hash: H;
  readonly text: string;
}

/** A merge of sorted lists: the first value that two of them hold. `isSame`: whether two with equal hashes are equal. */
export async function firstCommon<H extends bigint | string>(
  lists: readonly { readonly shard: ShardName; readonly rows: AsyncGenerator<HashedValue<H>, void> }[],
  isSame: (one: HashedValue<H>, other: HashedValue<H>) => boolean,
): Promise<{ value: string; shards: string[] } | undefined> {
  try {
    const heads = await Promise.all(lists.map(({ rows }) => rows.next()));
    for (;;) {
      const open = heads.flatMap((head, index) => (head.done === true ? [] : [{ index, ...head.value }]));
      if (open.length < 2) return undefined;
      const lowest = open.reduce((least, head) => (head.hash < least.hash ? head : least));
      const equal = open.filter((head) => head.hash === lowest.hash && isSame(head, lowest));
      if (equal.length > 1)
        return { value: lowest.text, shards: equal.map((head) => lists[head.index]!.shard) };
      heads[lowest.index] = await lists[lowest.index]!.rows.next();
    }
  } finally {
    for (const { rows } of lists) await rows.return();
  }
}
