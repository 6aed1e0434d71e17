import type { DatabaseConfig } from './config.js';

type Engine = DatabaseConfig['engine'];

/** What the configuration must know of an engine. */
interface EngineFacts {
  readonly title: string;
  /** Schemes of a shard's URL. */
  readonly schemes: readonly string[];
  readonly defaultPort: number;
  readonly exampleUrl: string;
}

export const ENGINES: Readonly<Record<Engine, EngineFacts>> = {
  postgres: {
    title: 'Postgres',
    schemes: ['postgres:', 'postgresql:'],
    defaultPort: 5432,
    exampleUrl: 'postgres://user:password@host:5432/database',
  },
  mysql: {
    title: 'MySQL',
    schemes: ['mysql:', 'mariadb:'],
    defaultPort: 3306,
    exampleUrl: 'mysql://user:password@host:3306/database',
  },
};

/** The engine as the file says it; what is not known is complained of elsewhere. */
export function engineOf(written: unknown): Engine {
  return written === 'mysql' ? 'mysql' : 'postgres';
}
