import { asError, OperatingError } from '../lib/errors.js';
import type { ShardAddress } from '../migration/engine.js';
import type { Keyspace } from '../topology/keyspace.js';
import { EngineSession } from './engine-session.js';
import { findDrift } from './schema-drift.js';
import type { SchemaObject } from './schema-object.js';
import { planSchema, type SchemaPlan } from './schema-plan.js';
import { readSchema } from './schema-read.js';

type Log = (level: 'info' | 'warn', message: string) => void;

/**
 * Makes on `target` what of `model`'s schema belongs on every shard, read from the catalogs alone. What is there already
 * must be the same. All of it in one transaction: a target is never left with half a schema.
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
    const plan = planSchema(atModel!, keyspace, model.shard);
    for (const { id, reason } of plan.leftOut)
      log('info', `schema of shard ${target.shard}: ${id} is left out: ${reason}`);
    const drift = findDrift(plan, atModel!, atTarget!);
    if (drift.length > 0) {
      throw new OperatingError(
        'migration',
        `the schema of shard ${target.shard} is not that of ${model.shard}: ${drift.join('; ')}`,
        {
          hint: 'make them equal, or begin with an empty database on the new shard',
        },
      );
    }
    const existing = new Set(atTarget!.objects.map((object) => object.id));
    await create(sessions[1]!, plan, existing, log);
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
  }
}

/** Something optional failed; what needs it is left out as well. */
async function create(
  session: EngineSession,
  plan: SchemaPlan,
  existing: ReadonlySet<string>,
  log: Log,
): Promise<void> {
  await session.transaction(async () => {
    await session.run('SET LOCAL check_function_bodies = off');
    const made: SchemaObject[] = [];
    for (const object of plan.objects) {
      if (existing.has(object.id)) continue;
      if (plan.required.has(object.id)) await createRequired(session, object);
      else if (
        !(await attempt(session, object.create, (error) =>
          log('warn', `schema of shard ${session.address.shard}: ${object.id} is left out: ${error.message}`),
        ))
      )
        continue;
      made.push(object);
    }
    for (const object of made) {
      for (const statement of object.after) {
        await attempt(session, [statement], (error) =>
          log('info', `schema of shard ${session.address.shard}: ${object.id}: ${error.message}`),
        );
      }
    }
  });
}

async function createRequired(session: EngineSession, object: SchemaObject): Promise<void> {
  try {
    for (const statement of object.create) await session.run(statement);
  } catch (error) {
    throw new OperatingError(
      'migration',
      `shard ${session.address.shard}: cannot create ${object.id}: ${asError(error).message}`,
      { cause: error },
    );
  }
}

/** Runs statements that may be refused (a role that is not there, a library that is missing) without harm to the rest. */
async function attempt(
  session: EngineSession,
  statements: readonly string[],
  onRefused: (error: Error) => void,
): Promise<boolean> {
  await session.run('SAVEPOINT attempt');
  try {
    for (const statement of statements) await session.run(statement);
    await session.run('RELEASE SAVEPOINT attempt');
    return true;
  } catch (error) {
    await session.run('ROLLBACK TO SAVEPOINT attempt');
    onRefused(asError(error));
    return false;
  }
}
