import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, open, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { OperatingError } from '../lib/errors.js';
import { PRIVATE_FILE, readIfThere } from './durable-file.js';

/** The holder touches the lock this often, so that hosts which cannot see its process see that it lives. */
const HEARTBEAT_MS = 5_000;
/** A lock of another host that was not touched for this long is taken over. */
const ABANDONED_MS = 30_000;
/** A takeover that takes longer than this died in the middle. */
const TAKEOVER_MS = 10_000;

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, so that a number given again to another process does not look alive. */
  readonly processStart: string;
  readonly nonce: string;
}

/** One process at a time may use a folder; the lock of a dead process is taken over. */
export class FolderLock {
  readonly #path: string;
  readonly #text: string;
  readonly #heartbeat: NodeJS.Timeout;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
    this.#heartbeat = setInterval(() => {
      const now = new Date();
      // A missed heartbeat is no error: the next one comes.
      utimes(path, now, now).catch(() => {});
    }, HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  /** Throws OperatingError `configuration` when a living process holds the folder. */
  static async acquire(folder: string): Promise<FolderLock> {
    const path = join(folder, 'lock');
    const holder: Holder = {
      pid: process.pid,
      host: hostname(),
      processStart: processStart(process.pid),
      nonce: randomBytes(8).toString('hex'),
    };
    const text = `${JSON.stringify(holder)}\n`;
    const mine = join(folder, `lock.${holder.nonce}`);
    try {
      const file = await open(mine, 'wx', PRIVATE_FILE);
      await file.writeFile(text);
      await file.close();
      if (await isLinked(mine, path)) return new FolderLock(path, text);
      await refuseIfAlive(folder, path);
      await takeOver(folder, path, mine);
      return new FolderLock(path, text);
    } finally {
      await rm(mine, { force: true });
    }
  }

  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    if ((await readIfThere(this.#path)) === this.#text) await rm(this.#path, { force: true });
  }
}

/** link(2) fails when the name is taken: the one atomic way to make a file that is complete at once. */
async function isLinked(mine: string, path: string): Promise<boolean> {
  try {
    await link(mine, path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
}

/** Only one process may judge and replace a stale lock, or two of them could each remove the other's new one. */
async function takeOver(folder: string, path: string, mine: string): Promise<void> {
  const taking = join(folder, 'lock.takeover');
  if (!(await isLinked(mine, taking))) {
    if (await isYoungerThan(taking, TAKEOVER_MS))
      throw busy(folder, 'another process is just taking it over');
    await rm(taking, { force: true });
    if (!(await isLinked(mine, taking))) throw busy(folder, 'another process is just taking it over');
  }
  try {
    await refuseIfAlive(folder, path);
    await rename(taking, path);
  } catch (thrown) {
    await rm(taking, { force: true });
    throw thrown;
  }
}

async function refuseIfAlive(folder: string, path: string): Promise<void> {
  const text = await readIfThere(path);
  if (text === undefined) return;
  const holder = parseHolder(text);
  if (holder === undefined) throw busy(folder, `its lock file ${path} is damaged`);
  if (holder.host !== hostname()) {
    if (await isYoungerThan(path, ABANDONED_MS))
      throw busy(folder, `process ${holder.pid} on host ${holder.host} is using it`);
    return;
  }
  if (isAlive(holder)) throw busy(folder, `process ${holder.pid} is using it`);
}

function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder;
    return Number.isInteger(holder.pid) &&
      typeof holder.host === 'string' &&
      typeof holder.processStart === 'string'
      ? holder
      : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (thrown) {
    // EPERM: it lives, but belongs to somebody else.
    if ((thrown as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const start = processStart(holder.pid);
  return start === '' || holder.processStart === '' || start === holder.processStart;
}

async function isYoungerThan(path: string, ageMs: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs < ageMs;
  } catch {
    return false;
  }
}

/** proc(5): field 22 of /proc/pid/stat, in clock ticks after boot, with the boot's id. '' where there is no /proc. */
export function processStart(pid: number): string {
  try {
    const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${afterName.split(' ')[19]}`;
  } catch {
    return '';
  }
}

function busy(folder: string, reason: string): OperatingError {
  return new OperatingError('configuration', `the store's folder ${folder} cannot be used: ${reason}`, {
    hint: `Give each Ringferry its own store.path, or stop the other one first. If you are sure that none is running, delete ${join(folder, 'lock')}.`,
  });
}
