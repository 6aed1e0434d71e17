import { createHash } from 'node:crypto';
import { z } from 'zod';
import { asError, OperatingError } from '../lib/errors.js';
import { Ring } from './ring.js';
import type { Snapshot } from './snapshot.js';
import type { StoredDocument, StoredTopology } from './store.js';

/*
 * The files of the file store: JSON for people's eyes, `{ format, checksum, content }`. A file that is not exactly
 * what was written is refused with its name: a guessed ring would send statements to the wrong shard.
 */

const FORMAT = 1;

const tokenText = z
  .string()
  .regex(/^-?\d{1,19}$/)
  .transform((text) => BigInt(text));

const topologySchema = z.strictObject({
  database: z.string(),
  epoch: z.int().min(1),
  home: z.string(),
  shards: z.array(z.strictObject({ name: z.string(), url: z.string().optional(), isServing: z.boolean() })),
  points: z.array(z.tuple([tokenText, z.string()])).min(1),
  moves: z.array(
    z.strictObject({
      migration: z.string(),
      source: z.string(),
      target: z.string(),
      state: z.enum(['copying', 'mirrored', 'switched']),
      ranges: z.array(z.tuple([tokenText, tokenText])),
    }),
  ),
});

const documentSchema = z.looseObject({ id: z.string() });

export function encodeTopology(snapshot: Snapshot): string {
  return envelope({
    database: snapshot.database,
    epoch: snapshot.epoch,
    home: snapshot.home,
    shards: snapshot.shards.map(({ name, url, isServing, origin }) =>
      origin === 'store' ? { name, url, isServing } : { name, isServing },
    ),
    points: snapshot.ring.points.map(({ token, owner }) => [token.toString(), owner]),
    moves: snapshot.moves.map(({ migration, source, target, state, ranges }) => ({
      migration,
      source,
      target,
      state,
      ranges: ranges.map(({ low, high }) => [low.toString(), high.toString()]),
    })),
  });
}

/** Throws OperatingError `configuration` naming the file and the remedy when it is not what was written. */
export function decodeTopology(path: string, text: string): StoredTopology {
  const stored = checked(path, topologySchema, text);
  return {
    database: stored.database,
    epoch: stored.epoch,
    home: stored.home,
    ring: new Ring(stored.points.map(([token, owner]) => ({ token, owner }))),
    shards: stored.shards.map(({ name, url, isServing }) => ({ name, url, isServing })),
    moves: stored.moves.map((move) => ({
      ...move,
      ranges: move.ranges.map(([low, high]) => ({ low, high })),
    })),
  };
}

export function encodeDocument(document: StoredDocument): string {
  return envelope(document);
}

export function decodeDocument(path: string, text: string): StoredDocument {
  return checked(path, documentSchema, text);
}

function envelope(content: unknown): string {
  const text = JSON.stringify(content);
  return `${JSON.stringify({ format: FORMAT, checksum: checksumOf(text), content }, undefined, 1)}\n`;
}

function checked<T>(path: string, schema: z.ZodType<T>, text: string): T {
  try {
    const file = JSON.parse(text) as { format?: unknown; checksum?: unknown; content?: unknown };
    if (file?.format !== FORMAT)
      throw new Error(`its format is ${String(file?.format)}, this Ringferry knows ${FORMAT}`);
    if (file.checksum !== checksumOf(JSON.stringify(file.content)))
      throw new Error('its checksum does not fit its content');
    return schema.parse(file.content);
  } catch (thrown) {
    throw corrupt(path, asError(thrown).message, thrown);
  }
}

function checksumOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 32);
}

/** The refusal of a file that cannot be trusted. */
export function corrupt(path: string, reason: string, cause?: unknown): OperatingError {
  return new OperatingError('configuration', `the store's file ${path} cannot be read: ${reason}`, {
    hint: 'Put this file back from a backup of the store. Do not delete it unless no migration has ever run: it alone says which shard owns which rows.',
    cause,
  });
}
