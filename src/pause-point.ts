import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Stop points for tests that kill this process in the middle of a migration. With a folder `RINGFERRY_PAUSE_FOLDER` a migration
 * stops for good at the step whose name is in the folder's file `stop-at`, and writes the name to `stopped-at`; without it nothing ever stops.
 */
export function pausePointFromEnvironment(environment: NodeJS.ProcessEnv): (name: string) => Promise<void> {
  const folder = environment['RINGFERRY_PAUSE_FOLDER'];
  if (folder === undefined) return async () => {};
  return async (name) => {
    if (name !== (await readFile(join(folder, 'stop-at'), 'utf8').catch(() => ''))) return;
    await writeFile(join(folder, 'stopped-at'), name);
    await new Promise<never>(() => {});
  };
}
