import { constants } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Only the owner may read: files of the store may hold URLs with passwords. */
export const PRIVATE_FILE = 0o600;
export const PRIVATE_FOLDER = 0o700;
export const UNFINISHED_SUFFIX = '.unfinished';

/**
 * Replaces `path` by `text` so that after a crash at any point it holds either all of the old text or all of the new:
 * written beside it, fsynced, renamed over it, and the folder fsynced.
 */
export async function writeDurably(path: string, text: string): Promise<void> {
  const unfinished = `${path}${UNFINISHED_SUFFIX}`;
  try {
    const file = await open(unfinished, 'w', PRIVATE_FILE);
    try {
      await file.writeFile(text, 'utf8');
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (thrown) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw thrown;
  }
  await rename(unfinished, path);
  await syncFolder(dirname(path));
}

/** Makes the folder's own entries durable (fsync(2): "calling fsync() does not ensure that the entry in the directory … has reached disk"). */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw thrown;
  }
}
