import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { processStart } from '../topology/folder-lock.js';

const roll = z.array(z.object({ processId: z.int().min(2), processStart: z.string().min(1) }));

/**
 * Who works for the primary that holds the store, in a file beside the lock. A primary that is killed takes its workers with it, but for
 * one that stands still and would wake later: the next primary ends those before it changes anything.
 */
export class Roll {
  readonly #path: string;
  #last: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** Ends what is left of an earlier primary's workers. Only with the store's lock held. */
  async endOrphans(): Promise<void> {
    for (const { processId, processStart: start } of await this.#read()) {
      // The number may have been given to another process since then.
      if (processStart(processId) !== start) continue;
      try {
        process.kill(processId, 'SIGKILL');
      } catch {
        // It has ended in the meantime.
      }
    }
  }

  /** Notes who works now. Where there is no /proc nobody is noted: a number alone may be anybody's. */
  write(processIds: readonly number[]): void {
    const entries = processIds
      .map((processId) => ({ processId, processStart: processStart(processId) }))
      .filter((entry) => entry.processStart !== '');
    const write = () => writeFile(this.#path, `${JSON.stringify(entries)}\n`, { mode: 0o600 });
    // A roll that cannot be written costs a second line of defence; the fence in the databases is the first.
    this.#last = this.#last.then(write).catch(() => {});
  }

  async close(): Promise<void> {
    this.write([]);
    await this.#last;
  }

  async #read(): Promise<z.output<typeof roll>> {
    try {
      return roll.parse(JSON.parse(await readFile(this.#path, 'utf8')));
    } catch {
      return [];
    }
  }
}
