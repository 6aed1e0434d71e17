import type { MigrationRecord } from '../migration/record.js';
import { type Column, columns, type Row } from './command.js';
import type { MigrationPlan, MigrationState } from './control.js';

/** What people and the CLI want to know of a migration, in one row. */
export const MIGRATION_COLUMNS: readonly Column[] = columns(
  'text',
  'id database kind shard phase',
  'bool',
  'paused',
  'text',
  'request created_at',
  'numeric',
  'share_percent',
  'int8',
  'copied_rows estimated_rows copied_bytes applied_rows lag_bytes compared_rows differences repaired_rows',
  'numeric',
  'hold_ms',
  'int4',
  'cutover_attempts steps_back',
  'text',
  'failed_phase failure',
);

export function migrationRow({ record, lagBytes, rowsApplied }: MigrationState): Row {
  const { verification, failure } = record;
  const estimated = record.copies.reduce((sum, copy) => sum + Math.max(copy.estimatedRows, copy.rows), 0);
  return [
    record.id,
    record.database,
    record.kind,
    record.shard ?? null,
    record.phase,
    record.paused,
    record.request ?? null,
    record.createdAt,
    movingShare(record),
    sumOf(record, 'rows'),
    estimated,
    sumOf(record, 'bytes'),
    rowsApplied,
    lagBytes ?? null,
    verification?.comparedRows ?? null,
    verification?.differences ?? null,
    verification?.repaired ?? null,
    record.holdMs === undefined ? null : round(record.holdMs),
    record.cutoverAttempts,
    record.stepsBack,
    failure?.phase ?? null,
    failure?.message ?? null,
  ];
}

function sumOf(record: MigrationRecord, what: 'rows' | 'bytes'): number {
  return record.copies.reduce((sum, copy) => sum + copy[what], 0);
}

/** Percent of all tokens that move. */
export function movingShare(record: MigrationRecord): number {
  return round(record.moves.reduce((sum, move) => sum + rangesShare(move.ranges), 0));
}

/** Percent of all tokens in these ranges (inclusive bounds). */
export function rangesShare(
  ranges: readonly { readonly low: bigint | string; readonly high: bigint | string }[],
): number {
  let tokens = 0n;
  for (const { low, high } of ranges) tokens += BigInt(high) - BigInt(low) + 1n;
  return Number((tokens * 1_000_000n) / (1n << 64n)) / 10_000;
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** SHOW MIGRATION id: everything about one, a line each. */
export const MIGRATION_DETAIL_COLUMNS: readonly Column[] = columns('text', 'item value');

export function migrationDetail(state: MigrationState): Row[] {
  const row = migrationRow(state);
  const rows: Row[] = MIGRATION_COLUMNS.map((column, index) => [
    column.name,
    row[index] === null ? null : String(row[index]),
  ]);
  const { record } = state;
  for (const { source, target, ranges } of record.moves) {
    rows.push([
      `move ${source} to ${target}`,
      `${ranges.length} ranges, ${round(rangesShare(ranges))} % of the keys`,
    ]);
  }
  for (const copy of record.copies) {
    rows.push([
      `copy ${copy.source} ${copy.table}`,
      `${copy.rows} of ${Math.max(copy.estimatedRows, copy.rows)} rows${copy.isDone ? ', done' : ''}`,
    ]);
  }
  for (const [phase, at] of Object.entries(record.startedAt)) rows.push([`${phase} since`, at ?? null]);
  return rows;
}

export const PLAN_COLUMNS: readonly Column[] = columns(
  'text',
  'item source target table',
  'int4',
  'ranges',
  'numeric',
  'share_percent',
  'int8',
  'estimated_rows',
  'text',
  'problem remedy',
);

export function planRows({ record, blockers }: MigrationPlan): Row[] {
  const moves = record.moves.map(
    ({ source, target, ranges }): Row => [
      'move',
      source,
      target,
      null,
      ranges.length,
      round(rangesShare(ranges)),
      null,
      null,
      null,
    ],
  );
  const copies = record.copies.map(
    (copy): Row => ['copy', copy.source, null, copy.table, null, null, copy.estimatedRows, null, null],
  );
  const blocked = blockers.map(
    ({ shard, message, remedy }): Row => ['blocker', shard, null, null, null, null, null, message, remedy],
  );
  return [...moves, ...copies, ...blocked];
}
