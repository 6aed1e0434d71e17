import { asError, asOperatingError, OperatingError } from '../lib/errors.js';
import type { Backend } from '../pool/backend.js';
import { servingShards } from '../topology/snapshot.js';
import type { CancelKey, CancelKeys } from './cancel.js';
import type { Course } from './course.js';
import type { Credentials, Database } from './database.js';
import type { Frontend } from './frontend.js';
import { PassThroughCourse } from './pass-through-course.js';
import { SessionCourse } from './session-course.js';
import { SessionSettings } from './settings.js';
import { ShardedCourse } from './sharded-course.js';

export interface OpenedCourse {
  readonly course: Course;
  /** The ParameterStatus values that the client is told; they do not change any more. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly key: CancelKey;
}

/** Chooses how a client is served and learns what a server would tell it at login. */
export async function openCourse(
  database: Database,
  frontend: Frontend,
  credentials: Credentials,
  keys: CancelKeys,
): Promise<OpenedCourse> {
  if (database.isPassThrough && database.config.pool.mode === 'session')
    return openSession(database, frontend, credentials);
  const parameters = await learnParameters(database, frontend, credentials);
  const key = frontend.announcedKey ?? keys.issue();
  if (!database.isPassThrough)
    return { course: new ShardedCourse(database, frontend, credentials), parameters, key };
  const router = await database.router();
  return { course: new PassThroughCourse(database, frontend, credentials, router), parameters, key };
}

/** Session mode: the backend is opened with the client's own startup parameters and its identity is the client's. */
async function openSession(
  database: Database,
  frontend: Frontend,
  credentials: Credentials,
): Promise<OpenedCourse> {
  const startup = new Map([...database.dialect.startupDefaults, ...frontend.identity.startup]);
  const pool = database.pool(database.topology.current.home, credentials, startup);
  const router = await database.router();
  const backend = await pool.lease();
  return {
    course: new SessionCourse(database, frontend, router, backend, pool),
    parameters: new Map(backend.parameters),
    key: frontend.announcedKey ?? { processId: backend.processId, secretKey: backend.secretKey },
  };
}

/** Sets the client's startup parameters on some backend, so that a wrong one is refused now, and reads what it reports. */
async function learnParameters(
  database: Database,
  frontend: Frontend,
  credentials: Credentials,
): Promise<ReadonlyMap<string, string>> {
  const settings = new SessionSettings(database.dialect, frontend.identity);
  const startup = database.startupOf(frontend.identity);
  const user = database.userAt(database.topology.current.home, credentials);
  const cacheKey = JSON.stringify([user, settings.text, ...[...startup].flat()]);
  const known = database.knownParameters.get(cacheKey);
  if (known !== undefined) return known;
  const failures: OperatingError[] = [];
  for (const shard of servingShards(database.topology.current)) {
    const pool = database.pool(shard, credentials, startup);
    let backend: Backend;
    try {
      backend = await pool.lease();
    } catch (thrown) {
      failures.push(asOperatingError(thrown));
      continue;
    }
    try {
      for (const sql of settings.replay(backend)) await backend.run(sql);
      const parameters = new Map(backend.parameters);
      database.knownParameters.set(cacheKey, parameters);
      return parameters;
    } catch (thrown) {
      settings.invalidate(backend);
      throw new OperatingError('invalid-parameter', asError(thrown).message, { cause: thrown });
    } finally {
      pool.release(backend);
    }
  }
  throw failures[0] ?? new OperatingError('not-ready', `database "${database.name}" has no shard`);
}
