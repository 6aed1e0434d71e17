import { OperatingError } from '../lib/errors.js';
import { type DatabaseShards, restoredSnapshot } from '../topology/opening.js';
import { decodeTopology } from '../topology/stored-json.js';
import { Topology } from '../topology/topology.js';
import type { ToWorker, Welcome } from './messages.js';
import { readHold } from './written-hold.js';

type TopologyMessage = Extract<ToWorker, { type: 'publish' | 'hold' | 'drained' | 'passed' | 'release' }>;

const SOURCE = 'a message from the primary';

/** A worker's part in the topology protocol: snapshots and holds as its primary says them, in that order. */
export class TopologyDuty {
  readonly topologies: ReadonlyMap<string, Topology>;
  readonly #configs: Readonly<Record<string, DatabaseShards>>;

  /** Everything stands when this returns: a hold is in force before the first client comes. */
  constructor({ topologies, config }: Pick<Welcome, 'topologies' | 'config'>) {
    this.#configs = config.databases;
    this.topologies = new Map(
      topologies.map(({ database, topology: text, hold }) => {
        const topology = new Topology(this.#read(database, text));
        if (hold !== null) topology.gate.hold(readHold(hold));
        return [database, topology];
      }),
    );
  }

  /** Answers are acknowledgements: given when it is so here. */
  take(message: TopologyMessage): Promise<void> | undefined {
    const topology = this.topologies.get(message.database);
    if (topology === undefined)
      throw new OperatingError('unknown-database', `there is no database "${message.database}" here`);
    switch (message.type) {
      case 'publish':
        return topology.publish(this.#read(message.database, message.topology));
      case 'hold':
        topology.gate.hold(readHold(message.hold));
        return undefined;
      case 'drained':
        return topology.gate.drained();
      case 'passed':
        return topology.gate.passed();
      case 'release':
        topology.gate.release();
        return undefined;
    }
  }

  #read(database: string, text: string) {
    return restoredSnapshot(decodeTopology(SOURCE, text), this.#configs[database]!);
  }
}
