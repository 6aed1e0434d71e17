import type { KeyType } from '../topology/keyspace.js';

/** One row of what a client sends behind its statement, as it was written, with what ends it. */
export interface CutRow {
  readonly row: Buffer;
  /** The shard key's text, undefined for NULL or a key that does not fit its column. */
  readonly key: string | undefined;
  /** It goes to every shard. */
  readonly isForAll: boolean;
  /** It is there for the reader of the rows that follow. */
  readonly isHeader?: boolean;
}

/** Cuts rows out of chunks. Pure: chunks in, rows out. Throws OperatingError at what cannot be a row. */
export interface RowCutter {
  /** The rows that this chunk completes. The chunk is copied where it must outlive the call. */
  push(chunk: Buffer): readonly CutRow[];
  /** Nothing comes any more: the last row, where nothing ended it. */
  end(): readonly CutRow[];
}

/** What every shard gets as it is need not be cut. */
export const FOR_ALL: RowCutter = {
  push: (row) => [{ row, key: undefined, isForAll: true }],
  end: () => [],
};

/** Rows that come behind a statement (COPY FROM STDIN, LOAD DATA LOCAL INFILE), to be dealt out to their shards. */
export interface IncomingRows {
  /** What the shards are told; undefined: the client's own words. */
  readonly sql?: string;
  readonly keyType: KeyType | undefined;
  cut(maxRowBytes: number): RowCutter;
}
