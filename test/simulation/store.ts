import { OperatingError } from '../../src/lib/errors.js';
import type { Snapshot } from '../../src/topology/snapshot.js';
import type { DecisionLog, StoredDocument, StoredTopology, TopologyStore } from '../../src/topology/store.js';
import {
  decodeDocument,
  decodeTopology,
  encodeDocument,
  encodeTopology,
} from '../../src/topology/stored-json.js';
import { type Faults, type Life, lostConnection, NEVER } from './engine.js';
import type { VirtualTime } from './virtual-time.js';

/** What is on the disk: texts, exactly as the file store would write them. */
export interface Disk {
  topology: string | undefined;
  readonly migrations: Map<string, string>;
  readonly decisions: Set<string>;
}

/** The store's contract over a Disk that outlives the process; writes may fail, also after they were done. */
export class SimStore implements TopologyStore {
  readonly decisions: DecisionLog;
  readonly #disk: Disk;
  readonly #time: VirtualTime;
  readonly #life: Life;
  readonly #faults: Faults;

  constructor(disk: Disk, time: VirtualTime, life: Life, faults: Faults) {
    this.#disk = disk;
    this.#time = time;
    this.#life = life;
    this.#faults = faults;
    this.decisions = {
      owner: 'simulated',
      record: (gid) => this.#act(() => void disk.decisions.add(gid), 0),
      forget: (gid) => this.#act(() => void disk.decisions.delete(gid), 0),
      list: async () => [...disk.decisions],
    };
  }

  load(): Promise<StoredTopology | undefined> {
    return this.#act(() =>
      this.#disk.topology === undefined ? undefined : decodeTopology('topology.json', this.#disk.topology),
    );
  }

  compareAndSwap(_database: string, expectedEpoch: number, next: Snapshot): Promise<void> {
    const text = encodeTopology(next);
    return this.#act(() => {
      const stored =
        this.#disk.topology === undefined ? 0 : decodeTopology('topology.json', this.#disk.topology).epoch;
      if (stored !== expectedEpoch)
        throw new OperatingError('migration', `epoch ${stored}, not ${expectedEpoch}`);
      this.#disk.topology = text;
    });
  }

  saveMigration(_database: string, document: StoredDocument): Promise<void> {
    const text = encodeDocument(document);
    return this.#act(() => void this.#disk.migrations.set(document.id, text));
  }

  migrations(): Promise<StoredDocument[]> {
    return this.#act(
      () => [...this.#disk.migrations.values()].map((text) => decodeDocument('migration.json', text)),
      0,
    );
  }

  async close(): Promise<void> {}

  async #act<T>(effect: () => T, failing = this.#faults.failing / 2): Promise<T> {
    if (this.#life.isOver) return NEVER;
    await this.#time.sleep(this.#time.below(3));
    if (this.#life.isOver) return NEVER;
    if (this.#time.chance(failing)) throw lostConnection();
    const result = effect();
    await this.#time.sleep(this.#time.below(2));
    if (this.#life.isOver) return NEVER;
    if (this.#time.chance(failing)) throw lostConnection();
    return result;
  }
}
