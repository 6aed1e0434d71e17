import type { Config, UserConfig } from '../config/config.js';
import { OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import type { MigrationEngine } from '../migration/engine.js';
import { StatementIds } from '../pool/statement-ids.js';
import type { ClientDoor } from '../proxy/frontend.js';
import { loadParser } from '../sql/postgres-parser.js';
import { Authenticator, type LoginRule } from './authenticator.js';
import { postgresDialect } from './dialect.js';
import { createPostgresEngine } from './engine.js';
import { ServerTls } from './server-tls.js';
import { createDoor } from './startup.js';

/** Who may come in, as the composition root knows it. */
export interface DoorGuests {
  readonly config: () => Config;
  /** Told to a client at once, before it proves who it is; undefined: welcome so far. */
  readonly refusal: () => OperatingError | undefined;
  /** Told to a client that has proven who it is: an unknown database. */
  readonly databaseRefusal: (database: string) => OperatingError | undefined;
  readonly cancel: (key: { readonly processId: number; readonly secretKey: Buffer }) => void;
}

/** Names of the control port's database; `pgbouncer` so that existing exporters work. */
const CONSOLE_DATABASES = new Set(['ringferry', 'pgbouncer']);

/** Everything that the composition root takes from the Postgres wing. */
export const postgresWing = {
  dialect: postgresDialect,
  /** Before anything else: the parser is WebAssembly. */
  load: loadParser,
  createMigrationEngine: (config: Config, log: Logger): MigrationEngine =>
    createPostgresEngine({ log, maxLagBytes: config.migration.maxLagBytes }),
  clientDoor: (guests: DoorGuests): ClientDoor => {
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
  consoleDoor: (guests: DoorGuests): ClientDoor =>
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
    tls: tls === undefined ? undefined : new ServerTls(tls),
    limits,
    authenticator: new Authenticator(),
    statementIds: new StatementIds(),
    authorize,
    cancel: guests.cancel,
  });
}

function ruleOf(user: UserConfig): LoginRule {
  return { auth: user.auth, password: user.password, scram: user.scram };
}
