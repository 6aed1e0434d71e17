import type { Config } from './config/config.js';
import type { Logger } from './lib/log.js';
import type { MigrationEngine } from './migration/engine.js';
import type { Dialect } from './proxy/dialect.js';
import type { ClientDoor, DoorGuests } from './proxy/frontend.js';

/** Everything that the composition root takes from a wing. */
export interface Wing {
  readonly dialect: Dialect;
  /** Before anything else: parsers are WebAssembly. */
  readonly load: () => Promise<unknown>;
  /** Loaded only where something can move. */
  readonly createMigrationEngine: (config: Config, log: Logger) => Promise<MigrationEngine>;
  readonly clientDoor: (guests: DoorGuests) => ClientDoor;
}
