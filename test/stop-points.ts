/** Named stop points of a migration (see src/pause-point.ts), in their order, for tests that kill or freeze something there. */

/** Up to here the source owns the moving rows. */
export const BEFORE_THE_CUTOVER = [
  'preparing',
  'prepared',
  'published-copying',
  'cleared',
  'snapshots-open',
  'copied',
  'streams-open',
  'caught-up',
  'verified',
  'mirrored',
  'ready',
  'reverse-prepared',
] as const;

export const FROM_THE_CUTOVER_ON = [
  'held',
  'drained',
  'fenced',
  'marker-written',
  'marker-passed',
  'fence-kept',
  'switched-in-store',
  'released',
  'switched',
  'cleaning',
  'rows-deleted',
  'moves-dropped',
  'traces-removed',
] as const;

export const OF_AN_ABORT = ['aborting', 'copies-cleared', 'moves-withdrawn'] as const;

export const OF_A_ROLLBACK = ['rollback-prepared', 'rolled-back'] as const;

/** Where a second kind of database could differ from the first: one of each kind of step. */
const ONE_OF_A_KIND: ReadonlySet<string> = new Set([
  'prepared',
  'snapshots-open',
  'streams-open',
  'mirrored',
  'reverse-prepared',
  'fenced',
  'marker-passed',
  'switched-in-store',
  'cleaning',
  'rows-deleted',
  'copies-cleared',
  'rolled-back',
]);

/** Those of `points` that are tried on a second kind of database; all of them with RINGFERRY_TEST_ALL_KILLS=1. */
export function chosen(points: readonly string[]): readonly string[] {
  return process.env['RINGFERRY_TEST_ALL_KILLS'] === '1'
    ? points
    : points.filter((point) => ONE_OF_A_KIND.has(point));
}
