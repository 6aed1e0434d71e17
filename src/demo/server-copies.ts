import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperatingError } from '../lib/errors.js';
import { freePort } from './free-port.js';
import { type RunAs, unprivilegedUser } from './run-as.js';

const PORT_ATTEMPTS = 5;

/** One kind of database server, as it is started for the demo and for tests. */
export interface ServerKind<Server> {
  /** What its private folders' names begin with. */
  readonly folderPrefix: string;
  /** Makes a fresh installation in the folder. */
  initialize(folder: string, runAs: RunAs | undefined): Promise<void>;
  /** Brings the installation of one folder to another, which takes a tenth of the time. */
  copy(from: string, to: string, runAs: RunAs | undefined): Promise<void>;
  serverIn(folder: string, index: number, runAs: RunAs | undefined): Server;
}

/** Starts servers on private folders, all as copies of one fresh installation. No folder is left when one of them does not start. */
export async function startCopies<Server extends { start(): Promise<void> }>(
  kind: ServerKind<Server>,
  count: number,
): Promise<Server[]> {
  const runAs = unprivilegedUser();
  const folders = await Promise.all(
    Array.from({ length: count }, () => makeFolder(kind.folderPrefix, runAs)),
  );
  try {
    const [first, ...others] = folders as [string, ...string[]];
    await kind.initialize(first, runAs);
    await Promise.all(others.map((folder) => kind.copy(first, folder, runAs)));
    const servers = folders.map((folder, index) => kind.serverIn(folder, index, runAs));
    await Promise.all(servers.map((server) => server.start()));
    return servers;
  } catch (error) {
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
    throw error;
  }
}

async function makeFolder(prefix: string, runAs: RunAs | undefined): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix));
  await chmod(folder, 0o711);
  if (runAs !== undefined) await chown(folder, runAs.uid, runAs.gid);
  return folder;
}

/**
 * Launches a server on `port`, or on one that is free when it is 0, and returns the port. `launch` says why the server did not
 * start, or undefined; a free port that somebody else has taken meanwhile (`portTaken`) is tried again.
 */
export async function launchOnPort(
  title: string,
  port: number,
  portTaken: RegExp,
  launch: (port: number) => Promise<string | undefined>,
): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const tried = port === 0 ? await freePort() : port;
    const failure = await launch(tried);
    if (failure === undefined) return tried;
    if (port !== 0 || !portTaken.test(failure) || attempt === PORT_ATTEMPTS)
      throw new OperatingError('internal', `${title} did not start: ${failure}`);
  }
}
