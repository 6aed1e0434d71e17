import type { Clients } from '../proxy/clients.js';
import type { Databases } from '../proxy/databases.js';

export type Operation = 'pause' | 'resume' | 'kill' | 'reconnect';

/** PgBouncer's operations on the databases of this process; undefined: on all of them. Resolves when done. */
export async function operateHere(
  { databases, clients }: { readonly databases: Databases; readonly clients: Clients },
  what: Operation,
  name: string | undefined,
): Promise<void> {
  const chosen = databases.all.filter((database) => name === undefined || database.name === name);
  await Promise.all(
    chosen.map(async (database) => {
      if (what === 'pause') await database.pause();
      if (what === 'resume') database.resume();
      if (what === 'kill') {
        void database.pause();
        clients.kill(database);
      }
      if (what === 'kill' || what === 'reconnect') await database.reconnect();
    }),
  );
}
