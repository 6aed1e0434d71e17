import type { UserConfig } from '../config/config.js';
import { ServerTls } from '../lib/server-tls.js';
import type { Wing } from '../wing.js';
import { Authenticator, type LoginRule } from './authenticator.js';
import { mysqlDialect } from './dialect.js';
import { createDoor } from './startup.js';

/** Everything that the composition root takes from the MySQL wing. */
export const mysqlWing: Wing = {
  dialect: mysqlDialect,
  load: async () => {},
  createMigrationEngine: async (config, log) => {
    const { createMysqlEngine } = await import('./engine.js');
    return createMysqlEngine({ log, maxLagBytes: config.migration.maxLagBytes });
  },
  clientDoor: (guests) => {
    const { tls, limits, mysql, databases } = guests.config();
    return createDoor({
      tls: tls === undefined ? undefined : new ServerTls(tls),
      limits,
      serverVersion: mysql.serverVersion,
      offersLocalFiles: Object.values(databases).some(({ localInfile }) => localInfile),
      offersBulk: async () => {
        const servers = await guests.servers();
        return servers.length > 0 && servers.every((parameters) => parameters.get('bulk') === '1');
      },
      authenticator: new Authenticator(),
      statementIds: guests.statementIds,
      authorize: (user, database) => {
        const refused = guests.refusal();
        if (refused !== undefined) return refused;
        const found = guests.config().users.find(({ name }) => name === user);
        return found === undefined
          ? undefined
          : { ...ruleOf(found), refusal: guests.databaseRefusal(database) };
      },
      defaultDatabase: guests.defaultDatabase,
      announceKey: guests.issueKey,
    });
  },
};

function ruleOf({ auth, password, scram }: UserConfig): LoginRule {
  return { auth, password, scram };
}
