import type {
  Backend,
  BackendQuery,
  ResultColumn,
  RowFields,
  RowSink,
  ServerError,
  TransactionStatus,
} from '../pool/backend.js';

/** One shard's part of a gathered statement. */
export interface Part {
  readonly backend: Backend;
  readonly query: BackendQuery;
  readonly before: readonly string[];
}

/** Who takes the rows of all parts. `part` is the index in the list of parts. */
export interface GatherSink {
  onColumns(part: number, columns: readonly ResultColumn[]): void;
  /** False: stop reading this part until it is resumed. */
  onRow(part: number, fields: RowFields): boolean;
  /** As in `RowSink`. */
  readonly takesRowsAsTheyAre?: boolean;
  onRows?(part: number, rows: Buffer, count: number): boolean;
  onPartEnd(part: number): void;
  /** COPY TO STDOUT begins; its rows come as rows of one field. */
  onCopyOut?(format: number, columnCount: number): void;
}

export interface GatherOutcome {
  readonly tags: readonly (string | undefined)[];
  readonly error: ServerError | undefined;
  readonly broken: { readonly backend: Backend; readonly error: Error } | undefined;
}

/** Runs the parts side by side and hands their rows over; ends when all have ended. After the first error the other parts are cancelled by `cancel`. */
export function gather(
  parts: readonly Part[],
  sink: GatherSink,
  cancel: (backend: Backend) => void,
): Promise<GatherOutcome> {
  return new Promise((resolve) => {
    const tags: (string | undefined)[] = parts.map(() => undefined);
    let error: ServerError | undefined;
    let broken: GatherOutcome['broken'];
    let running = parts.length;
    const stopOthers = (part: number) => {
      parts.forEach(({ backend }, index) => {
        backend.resume();
        if (index !== part && backend.isBusy) cancel(backend);
      });
    };
    const end = () => {
      if (--running === 0) resolve({ tags, error, broken });
    };
    parts.forEach(({ backend, query, before }, part) => {
      const rows: RowSink = {
        onColumns: (columns) => {
          if (error === undefined) sink.onColumns(part, columns);
        },
        onRow: (fields) => (error === undefined && broken === undefined ? sink.onRow(part, fields) : true),
        get takesRowsAsTheyAre() {
          return sink.takesRowsAsTheyAre === true;
        },
        onRows: (rows, count) =>
          error === undefined && broken === undefined ? sink.onRows!(part, rows, count) : true,
        onCopyOut: (format, columnCount) => sink.onCopyOut?.(format, columnCount),
        onCommandTag: (tag) => {
          tags[part] = tag;
        },
        onError: (failure) => {
          if (error !== undefined || broken !== undefined) return;
          error = failure;
          stopOthers(part);
        },
        onEnd: (_status: TransactionStatus) => {
          if (error === undefined && broken === undefined) sink.onPartEnd(part);
          end();
        },
        onBroken: (failure) => {
          if (error === undefined && broken === undefined) {
            broken = { backend, error: failure };
            stopOthers(part);
          }
          end();
        },
      };
      backend.query(query, rows, before);
    });
  });
}
