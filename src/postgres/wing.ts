import type { UserConfig } from '../config/config.js';
import { OperatingError } from '../lib/errors.js';
import { ServerTls } from '../lib/server-tls.js';
import type { ClientDoor, DoorGuests } from '../proxy/frontend.js';
import { loadParser } from '../sql/postgres-parser.js';
import type { Wing } from '../wing.js';
import { Authenticator, type LoginRule } from './authenticator.js';
import { postgresDialect } from './dialect.js';
import { createDoor } from './startup.js';

/** Names of the control port's database; `pgbouncer` so that existing exporters work. */
const CONSOLE_DATABASES = new Set(['ringferry', 'pgbouncer']);

/** Everything that the composition root takes from the Postgres wing; the control port speaks Postgres too. */
export const postgresWing: Wing & { readonly consoleDoor: (guests: DoorGuests) => ClientDoor } = {
  dialect: postgresDialect,
  /** Before anything else: the parser is WebAssembly. */
  load: loadParser,
  createMigrationEngine: async (config, log) => {
    const { createPostgresEngine } = await import('./engine.js');
    return createPostgresEngine({ log, maxLagBytes: config.migration.maxLagBytes });
  },
  clientDoor: (guests) => {
    const rule = (user: string, database: string): LoginRule | OperatingError | undefined => {
      const refused = guests.refusal();
      if (refused !== undefined) return refused;
      const found = guests.config().users.find(({ name }) => name === user);
      return found === undefined
        ? undefined
        : { ...ruleOf(found), refusal: guests.databaseRefusal(database) };
    };
    return door(guests, rule);
  },
  /** Any user name with the console's password; without one everybody on this host (the config refuses other addresses). */
  consoleDoor: (guests) =>
    door(guests, (_user, database) => {
      const { password } = guests.config().admin;
      const refusal = CONSOLE_DATABASES.has(database)
        ? undefined
        : new OperatingError(
            'unknown-database',
            `database "${database}" does not exist on the control port`,
            { hint: 'Connect to the database "ringferry".' },
          );
      return { auth: password === undefined ? 'trust' : 'scram', password, scram: undefined, refusal };
    }),
};

function door(guests: DoorGuests, authorize: Parameters<typeof createDoor>[0]['authorize']): ClientDoor {
  const { tls, limits } = guests.config();
  return createDoor({
    tls: tls === undefined ? undefined : new ServerTls(tls, ['postgresql']),
    limits,
    authenticator: new Authenticator(),
    statementIds: guests.statementIds,
    authorize,
    cancel: guests.cancel,
  });
}

function ruleOf(user: UserConfig): LoginRule {
  return { auth: user.auth, password: user.password, scram: user.scram };
}
