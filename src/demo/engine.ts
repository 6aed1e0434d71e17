import type { PhaseWords } from './narrator.js';

/** What the shop's application uses of a driver. Statements name their values $1, $2 …, in whatever order. */
export interface ShopClients {
  /** One statement of its own, on any connection. */
  run(sql: string, values?: readonly unknown[]): Promise<Answer>;
  /** A connection of one's own, for a transaction. */
  connect(): Promise<ShopConnection>;
  end(): Promise<void>;
}

export interface ShopConnection {
  run(sql: string, values?: readonly unknown[]): Promise<Answer>;
  begin(): Promise<void>;
  /** Rejects unless the transaction was committed. */
  commit(): Promise<void>;
  /** Gives it back; `isDoubtful` closes it instead. */
  release(isDoubtful: boolean): void;
}

export interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Rows that were met by an INSERT, UPDATE or DELETE. */
  readonly rowCount: number;
}

export interface ClientsOptions {
  /** The most connections at once. */
  readonly size: number;
  readonly name: string;
  /** An idle connection was lost. */
  readonly onLost?: (error: Error) => void;
}

/** A running server of the demo. */
export interface DemoServer {
  readonly port: number;
  url(database: string): string;
  stop(): Promise<void>;
}

/** One kind of database, as the demo needs it. */
export interface DemoEngine {
  /** As in the configuration's `engine`, its `listen`, and in URLs. */
  readonly protocol: 'postgres' | 'mysql';
  readonly title: string;
  /** Ringferry's usual port for it. */
  readonly usualPort: number;
  /** What a shop's developer would write for one database; nothing in it knows about shards. */
  readonly schema: string;
  /** What a migration leaves in the databases and takes away again. */
  readonly words: PhaseWords;
  /** Starts servers; `atEnd` gets what must be done at the end. */
  start(count: number, atEnd: (ending: () => Promise<unknown>) => void): Promise<DemoServer[]>;
  /** Makes the empty database `shop` and whoever logs in to it. */
  makeDatabase(server: DemoServer): Promise<void>;
  /** Makes the shop's tables. */
  makeTables(server: DemoServer): Promise<void>;
  /** The server's name and version, and where it comes from. */
  version(server: DemoServer): Promise<string>;
  /** Clients as an application would use them; nothing is connected yet. */
  clients(url: string, options: ClientsOptions): ShopClients;
  /** The command line that runs this statement on this port as `app`. */
  commandLine(port: number, sql: string): string;
}
