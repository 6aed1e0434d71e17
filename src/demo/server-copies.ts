import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { OperatingError } from '../lib/errors.js';
import { freePort } from './free-port.js';
import { type RunAs, unprivilegedUser } from './run-as.js';

const PORT_ATTEMPTS = 5;

const run = promisify(execFile);

/** One kind of database server, as it is started for the demo and for tests. */
export interface ServerKind<Server> {
  /** What its private folders' names begin with. */
  readonly folderPrefix: string;
  /** Makes a fresh installation in the folder. */
  initialize(folder: string, runAs: RunAs | undefined): Promise<void>;
  /** Brings the installation of one folder to another, which takes a tenth of the time. */
  copy(from: string, to: string, runAs: RunAs | undefined): Promise<void>;
  /** What is written into an installation for these servers only. */
  configure?(folder: string): Promise<void>;
  serverIn(folder: string, index: number, runAs: RunAs | undefined): Server;
}

/**
 * Starts servers on private folders, all as copies of one fresh installation. No folder is left when one of them does not start.
 * `template` is where that installation is kept for the next time: it is made there when it is not there yet.
 */
export async function startCopies<Server extends { start(): Promise<void> }>(
  kind: ServerKind<Server>,
  count: number,
  template?: string,
): Promise<Server[]> {
  const runAs = unprivilegedUser();
  const folders = await Promise.all(
    Array.from({ length: count }, () => makeFolder(kind.folderPrefix, runAs)),
  );
  try {
    const [first, ...others] = folders as [string, ...string[]];
    if (template !== undefined && existsSync(template)) await kind.copy(template, first, runAs);
    else await kind.initialize(first, runAs);
    if (template !== undefined && !existsSync(template)) await keepTemplate(kind, first, template, runAs);
    await Promise.all(others.map((folder) => kind.copy(first, folder, runAs)));
    await Promise.all(folders.map((folder) => kind.configure?.(folder)));
    const servers = folders.map((folder, index) => kind.serverIn(folder, index, runAs));
    await Promise.all(servers.map((server) => server.start()));
    return servers;
  } catch (error) {
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
    throw error;
  }
}

/** Several processes may do it at once: one of them wins, and a template that is there is whole. */
async function keepTemplate<Server>(
  kind: ServerKind<Server>,
  from: string,
  template: string,
  runAs: RunAs | undefined,
): Promise<void> {
  const folder = await makeFolder('unfinished-', runAs, dirname(template));
  await kind.copy(from, folder, runAs);
  // Half of a fresh installation is zeros, in logs and tablespaces of a given size. What is a hole is not copied.
  await run('find', [
    folder,
    '-type',
    'f',
    '-size',
    '+64k',
    '-exec',
    'fallocate',
    '--dig-holes',
    '{}',
    ';',
  ]).catch(() => {});
  await rename(folder, template).catch(() => rm(folder, { recursive: true, force: true }));
}

async function makeFolder(prefix: string, runAs: RunAs | undefined, parent = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(parent, prefix));
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
