import { asError, OperatingError } from '../lib/errors.js';
import type { ShardAddress } from '../migration/engine.js';
import type { Keyspace } from '../topology/keyspace.js';
import { quoteText } from './engine-names.js';
import { EngineSession } from './engine-session.js';
import { findDrift, objectId } from './schema-drift.js';
import { placedObjects, readSchema, type SchemaObject } from './schema-read.js';

type Log = (level: 'info' | 'warn', message: string) => void;

/**
 * Makes on `target` what of `model`'s schema belongs on every shard, in the server's own words: tables with their keys,
 * sequences, routines, views. Triggers and events are not copied: the first are refused by the preflight, the second would
 * run on every shard. What is there already must be the same. MySQL cannot make a schema in one transaction: after a
 * failure the same call goes on.
 */
export async function copySchema(
  model: ShardAddress,
  target: ShardAddress,
  keyspace: Keyspace,
  log: Log,
): Promise<void> {
  const sessions: EngineSession[] = [];
  try {
    for (const address of [model, target]) sessions.push(await EngineSession.connect(address));
    const [atModel, atTarget] = await Promise.all(sessions.map(readSchema));
    const wanted = placedObjects(atModel!, keyspace);
    refuseMissing(wanted, keyspace, model.shard);
    const drift = findDrift(wanted, atModel!, atTarget!);
    if (drift.length > 0) {
      throw new OperatingError(
        'migration',
        `the schema of shard ${target.shard} is not that of ${model.shard}: ${drift.join('; ')}`,
        { hint: 'make them equal, or begin with an empty database on the new shard' },
      );
    }
    const existing = new Set(atTarget!.objects.map(objectId));
    await create(
      sessions[1]!,
      wanted.filter((object) => !existing.has(objectId(object))),
      log,
    );
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
  }
}

function refuseMissing(wanted: readonly SchemaObject[], keyspace: Keyspace, shard: string): void {
  const there = new Set(wanted.map(objectId));
  for (const table of keyspace.tables.values()) {
    const isWanted = table.kind === 'table' && table.placement !== 'home';
    if (isWanted && !there.has(objectId({ kind: 'table', name: table.name })))
      throw new OperatingError('migration', `shard ${shard} has no table ${table.schema}.${table.name}`, {
        hint: 'create it, or take it out of the configuration',
      });
  }
}

async function create(session: EngineSession, objects: readonly SchemaObject[], log: Log): Promise<void> {
  // A table may refer to one that is made after it.
  await session.run('SET SESSION foreign_key_checks = 0');
  const isRequired = ({ kind }: SchemaObject): boolean => kind === 'table' || kind === 'sequence';
  for (const object of objects.filter(isRequired)) await createRequired(session, object);
  // Views may need each other: those that fail are tried again as long as that helps.
  let left = objects.filter((object) => !isRequired(object));
  for (let before = left.length + 1; left.length < before && left.length > 0; ) {
    before = left.length;
    const failed: SchemaObject[] = [];
    for (const object of left) if ((await attempt(session, object)) !== undefined) failed.push(object);
    left = failed;
  }
  for (const object of left) {
    const error = await attempt(session, object);
    log(
      error?.errno === NO_SUCH_TABLE ? 'info' : 'warn',
      `schema of shard ${session.address.shard}: ${objectId(object)} is left out: ${error?.message ?? ''}`,
    );
  }
}

/** A view of what is at home only cannot be anywhere else. */
const NO_SUCH_TABLE = 1146;

async function createRequired(session: EngineSession, object: SchemaObject): Promise<void> {
  try {
    await session.run(object.create);
  } catch (error) {
    throw new OperatingError(
      'migration',
      `shard ${session.address.shard}: cannot create ${objectId(object)}: ${asError(error).message}`,
      { cause: error },
    );
  }
}

/** Makes a view or routine in the surroundings in which it was made first; returns why it could not be. */
async function attempt(
  session: EngineSession,
  { create, sqlMode, collation }: SchemaObject,
): Promise<(Error & { errno?: number }) | undefined> {
  const mode = await session.value('SELECT @@sql_mode');
  try {
    if (collation !== undefined)
      await session.run(`SET SESSION collation_connection = ${quoteText(collation)}`);
    if (sqlMode !== undefined) await session.run(`SET SESSION sql_mode = ${quoteText(sqlMode)}`);
    await session.run(create);
    return undefined;
  } catch (error) {
    return asError(error);
  } finally {
    if (!session.isLost) {
      await session.run(`SET SESSION sql_mode = ${quoteText(mode ?? '')}`);
      await session.run('SET NAMES utf8mb4');
    }
  }
}
