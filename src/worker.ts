import type { Socket } from 'node:net';
import { reportOf } from './admin/live-states.js';
import { operateHere } from './admin/operate-here.js';
import { VERSION } from './admin/version.js';
import type { Config, DatabaseConfig } from './config/config.js';
import { loadWings } from './dialects.js';
import { asError } from './lib/errors.js';
import { createLog, type Logger } from './lib/log.js';
import type { ClientDoor } from './proxy/frontend.js';
import type { Reception } from './proxy/reception.js';
import { type Neighbours, reloadAllTables, reloaded, Serving } from './serving.js';
import { Channel } from './workers/channel.js';
import { type ToPrimary, type ToWorker, toWorkerSchema, type Welcome } from './workers/messages.js';
import { RemoteDecisions } from './workers/remote-decisions.js';
import { writeReport } from './workers/report.js';
import { TopologyDuty } from './workers/topology-duty.js';

type Engine = DatabaseConfig['engine'];
type Client = Extract<ToWorker, { type: 'client' }>;

/** One worker process: clients, pools and routing here; store, migrations and the control port at its primary. */
class Worker {
  readonly #channel: Channel<ToWorker, ToPrimary>;
  readonly #startedAtMs = Date.now();
  readonly #receptions = new Map<Engine, { readonly reception: Reception; readonly refusing: ClientDoor }>();
  #config!: Config;
  #log: Logger = createLog('info');
  #duty!: TopologyDuty;
  #serving!: Serving;
  /** Resolves when clients can be served. */
  #built: Promise<void> | undefined;
  #taken = 0;
  #isTelling = false;

  constructor() {
    this.#channel = new Channel<ToWorker, ToPrimary>({
      wire: { send: (message) => void process.send!(message, undefined, undefined, () => {}) },
      schema: toWorkerSchema,
      onMessage: (message, socket) => this.#take(message, socket as Socket | undefined),
      log: this.#log,
    });
  }

  run(): void {
    process.on('message', (raw, socket) => this.#channel.receive(raw, socket));
    // Nobody would hold its statements or store its decisions: it must not serve one more.
    process.on('disconnect', () => process.exit(0));
    // A terminal and some supervisors signal the whole group; what is to be done is the primary's word.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});
    this.#channel.tell({ type: 'hello', version: VERSION });
  }

  #take(message: ToWorker, socket: Socket | undefined): unknown {
    switch (message.type) {
      case 'welcome':
        this.#duty = new TopologyDuty(message);
        this.#built = this.#build(message);
        return this.#built;
      case 'publish':
      case 'hold':
      case 'drained':
      case 'passed':
      case 'release':
        return this.#duty.take(message);
      case 'client':
        return this.#takeClient(message, socket);
      default:
        return this.#built?.then(() => this.#act(message));
    }
  }

  async #act(message: ToWorker): Promise<unknown> {
    const { databases, clients } = this.#serving;
    switch (message.type) {
      case 'report':
        return this.#report(message.isFull);
      case 'operate':
        return operateHere({ databases, clients }, message.what, message.database ?? undefined);
      case 'reload':
        this.#config = reloaded(this.#config, message.config);
        return reloadAllTables(databases, this.#log);
      case 'cancel':
        return clients.cancelKeys.cancel({
          processId: message.processId,
          secretKey: Buffer.from(message.secretKey, 'hex'),
        });
      case 'kill-session': {
        const database = databases.find(message.database);
        if (database === undefined) return false;
        return clients.killById(database, message.id, message.queryOnly, message.user);
      }
      case 'tables-changed':
        return databases.find(message.database)?.reloadTables();
      case 'statements-changed':
        return this.#serving.schemaChanged();
      case 'drain':
        return this.#drain(message.drainMs ?? Number.POSITIVE_INFINITY);
      default:
        return undefined;
    }
  }

  /** Topologies stand already; the rest takes its time while snapshots and holds come in. */
  async #build({ number, run, owner, engines, config, paused }: Welcome): Promise<void> {
    this.#config = config;
    this.#log = createLog(config.log.level).child({ worker: number });
    await loadWings(Object.values(config.databases));
    const primary = {
      ask: (message: ToPrimary) => this.#channel.ask(message),
      tell: (message: ToPrimary) => this.#channel.tell(message),
    };
    for (const [database, topology] of this.#duty.topologies) {
      topology.mirrorBarrier = async (migration, shard, position) => {
        // Without a primary there is no mirror to wait for, and this process ends.
        await primary.ask({ type: 'await-mirror', database, migration, shard, position }).catch(() => {});
      };
    }
    this.#serving = new Serving(
      {
        config: () => this.#config,
        log: this.#log,
        decisions: new RemoteDecisions(owner, primary),
        scope: { run, mayResolve: (other) => other === run },
        neighbours: this.#neighbours(),
        space: number,
      },
      this.#duty.topologies,
    );
    for (const database of this.#serving.databases.all) {
      if (!database.isPassThrough) database.twoPhase.patrol();
      if (paused.includes(database.name)) void database.pause();
    }
    for (const engine of engines) {
      const reception = this.#serving.reception(engine);
      reception.onClose = () => this.#tellConnections();
      this.#receptions.set(engine, { reception, refusing: this.#serving.refusingDoor(engine) });
    }
  }

  #neighbours(): Neighbours {
    return {
      cancel: async ({ processId, secretKey }) => {
        const key = { processId, secretKey: secretKey.toString('hex') };
        await this.#channel.ask({ type: 'cancel', ...key });
      },
      kill: async (database, id, queryOnly, user) =>
        (await this.#channel.ask({ type: 'kill-session', database, id, queryOnly, user })) === true,
      tablesChanged: async (database) => {
        await this.#channel.ask({ type: 'tables-changed', database });
      },
      statementsChanged: () => this.#channel.tell({ type: 'statements-changed' }),
    };
  }

  #takeClient({ engine, isOverLimit }: Client, socket: Socket | undefined): void {
    this.#taken++;
    this.#tellConnections();
    const at = this.#receptions.get(engine);
    // It may have closed on its way.
    if (socket === undefined || socket === null) return;
    if (at === undefined) socket.destroy();
    else at.reception.take(socket, isOverLimit ? at.refusing : undefined);
  }

  /** Once for all that happens in one turn, and before anything is read from a socket that was taken in it. */
  #tellConnections(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      const open = [...this.#receptions.values()].reduce(
        (sum, { reception }) => sum + reception.openCount,
        0,
      );
      this.#channel.tell({ type: 'connections', taken: this.#taken, open });
    });
  }

  /** The primary ends this process when it has the last report. */
  async #drain(drainMs: number): Promise<object> {
    await this.#serving.clients.drain(drainMs);
    const last = this.#report(true);
    await this.#serving
      .close()
      .catch((thrown) => this.#log.warn({ reason: asError(thrown).message }, 'a pool could not be closed'));
    for (const { reception } of this.#receptions.values()) reception.destroyAll();
    return last;
  }

  #report(isFull: boolean): object {
    const { databases, clients } = this.#serving;
    return writeReport(
      reportOf({ config: () => this.#config, databases, clients }, this.#startedAtMs),
      isFull,
    );
  }
}

if (process.send === undefined) {
  process.stderr.write('This is a worker of "ringferry serve", which starts it by itself.\n');
  process.exit(2);
}
new Worker().run();
