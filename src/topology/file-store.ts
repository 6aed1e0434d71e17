import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { asError, OperatingError } from '../lib/errors.js';
import { FileDecisionLog } from './decision-log.js';
import { PRIVATE_FOLDER, readIfThere, syncFolder, UNFINISHED_SUFFIX, writeDurably } from './durable-file.js';
import { FolderLock } from './folder-lock.js';
import type { Snapshot } from './snapshot.js';
import type { DecisionLog, StoredDocument, StoredTopology, TopologyStore } from './store.js';
import { corrupt, decodeDocument, decodeTopology, encodeDocument, encodeTopology } from './stored-json.js';

const MIGRATION_ID = /^[a-z0-9]{1,40}$/;

/**
 * The store of one host: a folder that one process at a time may use.
 *
 *     lock                          who uses it
 *     decisions.log                 two-phase commits decided and not yet done
 *     <database>/topology.json      ring, shards, moves, epoch
 *     <database>/migrations/<id>.json
 */
export class FileStore implements TopologyStore {
  readonly #folder: string;
  readonly #lock: FolderLock;
  readonly #decisions: FileDecisionLog;
  /** Writes happen one after the other, so that a compare and its swap are one act. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, lock: FolderLock, decisions: FileDecisionLog) {
    this.#folder = folder;
    this.#lock = lock;
    this.#decisions = decisions;
  }

  /** Makes the folder if it is not there, and locks it. Throws OperatingError `configuration` with the remedy. */
  static async open(folder: string): Promise<FileStore> {
    try {
      await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
    } catch (thrown) {
      throw new OperatingError(
        'configuration',
        `the store's folder ${folder} cannot be made: ${asError(thrown).message}`,
        {
          hint: 'Set store.path to a folder that Ringferry may write to.',
          cause: thrown,
        },
      );
    }
    const lock = await FolderLock.acquire(folder);
    try {
      return new FileStore(folder, lock, await FileDecisionLog.open(join(folder, 'decisions.log')));
    } catch (thrown) {
      await lock.release();
      throw thrown instanceof OperatingError
        ? thrown
        : corrupt(join(folder, 'decisions.log'), asError(thrown).message, thrown);
    }
  }

  get decisions(): DecisionLog {
    return this.#decisions;
  }

  load(database: string): Promise<StoredTopology | undefined> {
    return this.#inTurn(() => this.#read(database));
  }

  compareAndSwap(database: string, expectedEpoch: number, next: Snapshot): Promise<void> {
    return this.#inTurn(async () => {
      const stored = await this.#read(database);
      const storedEpoch = stored?.epoch ?? 0;
      if (storedEpoch !== expectedEpoch || next.epoch <= storedEpoch) {
        throw new OperatingError(
          'migration',
          `the stored topology of "${database}" is at epoch ${storedEpoch}, not ${expectedEpoch}`,
        );
      }
      await this.#makeFolders(database);
      await writeDurably(this.#topologyPath(database), encodeTopology(next));
    });
  }

  saveMigration(database: string, document: StoredDocument): Promise<void> {
    if (!MIGRATION_ID.test(document.id)) throw new RangeError(`not a migration's id: ${document.id}`);
    const text = encodeDocument(document);
    return this.#inTurn(async () => {
      await this.#makeFolders(database);
      await writeDurably(join(this.#migrationsFolder(database), `${document.id}.json`), text);
    });
  }

  migrations(database: string): Promise<StoredDocument[]> {
    return this.#inTurn(async () => {
      const folder = this.#migrationsFolder(database);
      const documents: StoredDocument[] = [];
      for (const name of (await namesIn(folder)).sort()) {
        const path = join(folder, name);
        if (name.endsWith(UNFINISHED_SUFFIX)) await rm(path, { force: true });
        if (!name.endsWith('.json')) continue;
        documents.push(decodeDocument(path, await readFileOf(path)));
      }
      return documents;
    });
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#decisions.close();
    await this.#lock.release();
  }

  async #read(database: string): Promise<StoredTopology | undefined> {
    const path = this.#topologyPath(database);
    const text = await readIfThere(path).catch((thrown) => {
      throw corrupt(path, asError(thrown).message, thrown);
    });
    if (text === undefined) {
      if ((await namesIn(this.#migrationsFolder(database))).length === 0) return undefined;
      throw corrupt(path, 'it is missing, though migrations of this database have run');
    }
    const stored = decodeTopology(path, text);
    if (stored.database !== database) throw corrupt(path, `it is of database "${stored.database}"`);
    return stored;
  }

  async #makeFolders(database: string): Promise<void> {
    const made = await mkdir(this.#migrationsFolder(database), { recursive: true, mode: PRIVATE_FOLDER });
    if (made === undefined) return;
    await syncFolder(this.#databaseFolder(database));
    await syncFolder(this.#folder);
  }

  #topologyPath(database: string): string {
    return join(this.#databaseFolder(database), 'topology.json');
  }

  #migrationsFolder(database: string): string {
    return join(this.#databaseFolder(database), 'migrations');
  }

  #databaseFolder(database: string): string {
    // The prefix keeps names such as ".." from being folders of their own meaning.
    return join(this.#folder, `db-${encodeURIComponent(database).replaceAll('*', '%2A')}`);
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#last.then(act);
    this.#last = result.catch(() => {});
    return result;
  }
}

async function readFileOf(path: string): Promise<string> {
  try {
    return (await readIfThere(path)) ?? '';
  } catch (thrown) {
    throw corrupt(path, asError(thrown).message, thrown);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw thrown;
  }
}
