import type { Ring, ShardName } from './ring.js';
import type { Move, Snapshot } from './snapshot.js';

/** A shard as it is stored: the URL is kept only when the config does not know it. */
export interface StoredShard {
  readonly name: ShardName;
  /** undefined: the config knows it. */
  readonly url: string | undefined;
  readonly isServing: boolean;
}

/** A database's topology as the store has it; `opening.ts` makes a snapshot of it with the config's URLs. */
export interface StoredTopology {
  readonly database: string;
  readonly epoch: number;
  readonly ring: Ring;
  readonly shards: readonly StoredShard[];
  readonly home: ShardName;
  readonly moves: readonly Move[];
}

/** A document the store keeps without knowing what it says: a migration's record. */
export type StoredDocument = { readonly id: string } & { readonly [key: string]: unknown };

/** Durable decisions of two-phase commits. What is prepared in a database and not in here is to be rolled back. */
export interface DecisionLog {
  /** Names this log among all that may decide about transactions in the same databases; stays the same over restarts. `[a-z0-9]`. */
  readonly owner: string;
  /**
   * Resolves when the decision is on disk: only then may COMMIT PREPARED be sent. When it rejects, the decision is
   * certainly not there, except with code `outcome-unknown`: then nothing may be committed or rolled back before a restart.
   */
  record(gid: string): Promise<void>;
  /** Every participant has committed. Losing a `forget` in a crash is harmless. */
  forget(gid: string): Promise<void>;
  list(): Promise<string[]>;
}

/** Where topologies, migration records and decisions outlive the process. All writes are on disk when their promise resolves. */
export interface TopologyStore {
  /** undefined: this database was never started with this store. */
  load(database: string): Promise<StoredTopology | undefined>;
  /**
   * Stores `next` if the stored epoch is `expectedEpoch` (0: nothing is stored), and rejects with code `migration`
   * otherwise. After any other rejection it is not known which of the two is stored: `load` says it.
   */
  compareAndSwap(database: string, expectedEpoch: number, next: Snapshot): Promise<void>;
  saveMigration(database: string, document: StoredDocument): Promise<void>;
  /** In the order of their ids. */
  migrations(database: string): Promise<StoredDocument[]>;
  readonly decisions: DecisionLog;
  close(): Promise<void>;
}
