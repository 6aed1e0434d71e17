import { z } from 'zod';
import { OperatingError } from '../lib/errors.js';
import type { StoredDocument } from '../topology/store.js';
import { type MigrationRecord, PHASES } from './record.js';

const phase = z.enum(PHASES);
const count = z.number().min(0);
const points = z.array(z.tuple([z.string(), z.string()]));

const recordSchema = z.object({
  id: z.string(),
  database: z.string(),
  kind: z.enum(['add-shard', 'remove-shard', 'rebalance']),
  shard: z.string().optional(),
  shardUrl: z.string().optional(),
  shardOrigin: z.enum(['config', 'store']).optional(),
  createdAt: z.string(),
  phase,
  failure: z.object({ phase, message: z.string() }).optional(),
  moves: z.array(
    z.object({
      source: z.string(),
      target: z.string(),
      ranges: z.array(z.object({ low: z.string(), high: z.string() })),
    }),
  ),
  ring: z.object({ before: points, after: points }),
  tables: z.array(z.string()),
  options: z.object({
    cutover: z.enum(['auto', 'manual']),
    finish: z.union([z.enum(['now', 'manual']), z.object({ afterMs: count })]),
    parallel: z.int().min(1),
  }),
  objects: z.array(
    z.object({ shard: z.string(), type: z.string(), name: z.string(), note: z.string().optional() }),
  ),
  copies: z.array(
    z.object({
      source: z.string(),
      table: z.string(),
      rows: count,
      bytes: count,
      estimatedRows: count,
      isDone: z.boolean(),
    }),
  ),
  verification: z
    .object({ comparedRows: count, differences: count, repaired: count, finishedAt: z.string() })
    .optional(),
  holdMs: count.optional(),
  cutoverAttempts: count,
  stepsBack: count,
  paused: z.boolean(),
  request: z.enum(['cutover', 'rollback', 'finish', 'abort']).optional(),
  startedAt: z.partialRecord(phase, z.string()),
});

/** A stored document as a record. Throws OperatingError `configuration` when it is not one. */
export function recordOf(document: StoredDocument): MigrationRecord {
  const parsed = recordSchema.safeParse(document);
  if (!parsed.success) {
    throw new OperatingError(
      'configuration',
      `the record of migration ${document.id} in the store cannot be read: ${z.prettifyError(parsed.error)}`,
      {
        hint: 'Put the store back from a backup, or start the version of Ringferry that wrote it.',
      },
    );
  }
  const { shardOrigin, ...fields } = parsed.data;
  return {
    shard: undefined,
    shardUrl: undefined,
    failure: undefined,
    verification: undefined,
    holdMs: undefined,
    request: undefined,
    ...fields,
    objects: fields.objects.map(({ note, ...object }) => (note === undefined ? object : { ...object, note })),
    ...(shardOrigin === undefined ? {} : { shardOrigin }),
  };
}
