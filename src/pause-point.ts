import { writeFile } from 'node:fs/promises';

/**
 * Stop points for tests that kill this process in the middle of a migration. `RINGFERRY_PAUSE_AT=name` stops at that
 * step for good and writes the name to the file `RINGFERRY_PAUSE_FILE`; without it nothing ever stops.
 */
export function pausePointFromEnvironment(environment: NodeJS.ProcessEnv): (name: string) => Promise<void> {
  const stopAt = environment['RINGFERRY_PAUSE_AT'];
  const file = environment['RINGFERRY_PAUSE_FILE'];
  if (stopAt === undefined) return async () => {};
  return async (name) => {
    if (name !== stopAt) return;
    if (file !== undefined) await writeFile(file, name);
    await new Promise<never>(() => {});
  };
}
