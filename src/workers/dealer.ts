import { createServer, type Server } from 'node:net';
import type { DatabaseConfig, HostPort } from '../config/config.js';
import { listenAt } from '../proxy/listener.js';
import type { Arrival, WorkerProcess } from './worker-process.js';

/** Clients that wait for a worker, at most; more are cut off. */
const MAX_WAITING = 10_000;

/**
 * Accepts connections for all workers and gives each to the one that has fewest. The listening socket outlives every
 * worker, so that no client is refused while one is replaced; a client that its worker had not taken when it ended goes to another one.
 */
export class Dealer {
  readonly #workers: () => readonly WorkerProcess[];
  readonly #maxClients: () => number;
  readonly #servers: Server[] = [];
  #waiting: Arrival[] = [];

  constructor(workers: () => readonly WorkerProcess[], maxClients: () => number) {
    this.#workers = workers;
    this.#maxClients = maxClients;
  }

  async listen(name: string, engine: DatabaseConfig['engine'], at: HostPort): Promise<HostPort> {
    const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
      socket.on('error', () => {});
      this.#arrive({ engine, socket });
    });
    this.#servers.push(server);
    return listenAt(server, name, at);
  }

  /** A worker can be given more, or takes no more: deals again. */
  deal(givenBack: readonly Arrival[] = []): void {
    this.#waiting = [...givenBack, ...this.#waiting];
    while (this.#waiting.length > 0) {
      const worker = this.#leastBusy();
      if (worker === undefined) return;
      const total = this.#workers().reduce((sum, { connections }) => sum + connections, 0);
      worker.give(this.#waiting.shift()!, total >= this.#maxClients());
    }
  }

  /** New connections are refused from now on. */
  stop(): void {
    for (const server of this.#servers) server.close();
    for (const { socket } of this.#waiting.splice(0)) socket.destroy();
  }

  #arrive(arrival: Arrival): void {
    if (this.#waiting.length >= MAX_WAITING) return void arrival.socket.destroy();
    this.#waiting.push(arrival);
    this.deal();
  }

  #leastBusy(): WorkerProcess | undefined {
    let best: WorkerProcess | undefined;
    for (const worker of this.#workers()) {
      if (worker.mayBeGiven && (best === undefined || worker.connections < best.connections)) best = worker;
    }
    return best;
  }
}
