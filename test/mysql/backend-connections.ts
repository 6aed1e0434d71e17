import { connectMysqlBackend } from '../../src/mysql/backend.js';
import type { Backend, BackendTarget } from '../../src/pool/backend.js';
import { type MysqlServer, startMariadb } from '../mariadb.js';

/** One real server for the tests of a file, and the backends that they connect to it. */

export const servers: MysqlServer[] = [];
const open: Backend[] = [];
const ends: (() => Promise<void>)[] = [];

export async function startServer(settings: Readonly<Record<string, string>> = {}): Promise<void> {
  servers.push(...(await startMariadb((end) => ends.push(end), { settings })));
  const backend = await connect({ database: '' });
  await backend.run('CREATE DATABASE shop');
}

export async function connect(
  facts: Partial<BackendTarget> = {},
  startup: ReadonlyMap<string, string> = new Map(),
): Promise<Backend> {
  const target = {
    shard: 'a',
    url: servers[0]?.url() ?? '',
    user: 'root',
    password: undefined,
    database: 'shop',
    ...facts,
  };
  const backend = await connectMysqlBackend(target, startup, AbortSignal.timeout(30_000));
  open.push(backend);
  return backend;
}

export async function endAll(): Promise<void> {
  for (const backend of open) backend.terminate();
  for (const end of ends) await end();
}
