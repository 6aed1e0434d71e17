import type { Backend, BackendTarget } from '../../src/pool/backend.js';
import { connectBackend } from '../../src/postgres/backend.js';
import { type PostgresServer, startPostgres } from '../cluster.js';

/** One real server for the tests of a file, and the backends that they connect to it. */

export const servers: PostgresServer[] = [];
const open: Backend[] = [];
const ends: (() => Promise<void>)[] = [];

export async function startServer(): Promise<void> {
  servers.push(...(await startPostgres((end) => ends.push(end))));
}

export async function connect(facts: Partial<BackendTarget> = {}): Promise<Backend> {
  const target = {
    shard: 'a',
    url: servers[0]!.url(),
    user: 'postgres',
    password: undefined,
    database: 'postgres',
    ...facts,
  };
  const backend = await connectBackend(target, new Map(), AbortSignal.timeout(30_000));
  open.push(backend);
  return backend;
}

export async function endAll(): Promise<void> {
  for (const backend of open) backend.terminate();
  for (const end of ends) await end();
}
