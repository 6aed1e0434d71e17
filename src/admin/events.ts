import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.js';
import type { Control, ShardProbe } from './control.js';
import { dashboardState } from './dashboard-state.js';

const PERIOD_MS = 1000;
const MIN_GAP_MS = 200;
const MAX_LISTENERS = 100;

/**
 * Server-sent events for the dashboard: a picture every second, and sooner when a migration moves. Pictures are made
 * once for all listeners, and not at all while nobody listens.
 */
export class DashboardEvents {
  readonly #control: Control;
  readonly #clock: Clock;
  readonly #probe: () => Promise<readonly ShardProbe[]>;
  readonly #listeners = new Set<ServerResponse>();
  #wake: AbortController | undefined;

  constructor(control: Control, clock: Clock, probe: () => Promise<readonly ShardProbe[]>) {
    this.#control = control;
    this.#clock = clock;
    this.#probe = probe;
  }

  listen(request: IncomingMessage, response: ServerResponse): void {
    if (this.#listeners.size >= MAX_LISTENERS) {
      response.writeHead(503, { 'Retry-After': '10' }).end();
      return;
    }
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      Connection: 'keep-alive',
    });
    this.#listeners.add(response);
    request.on('close', () => this.#listeners.delete(response));
    if (this.#wake === undefined) void this.#run();
    else this.#wake.abort();
  }

  close(): void {
    for (const response of this.#listeners) response.end();
    this.#listeners.clear();
    this.#wake?.abort();
  }

  async #run(): Promise<void> {
    this.#wake = new AbortController();
    const unwatch = this.#control.watchMigrations(() => this.#wake?.abort());
    try {
      while (this.#listeners.size > 0) {
        this.#wake = new AbortController();
        await this.#control.gather('everything');
        this.#send(dashboardState(this.#control, await this.#probe()));
        await this.#clock.sleep(MIN_GAP_MS);
        await this.#clock.sleep(PERIOD_MS - MIN_GAP_MS, this.#wake.signal);
      }
    } finally {
      unwatch();
      this.#wake = undefined;
    }
  }

  #send(state: unknown): void {
    const text = `data: ${JSON.stringify(state, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}\n\n`;
    for (const response of this.#listeners) {
      // A listener that does not read misses pictures instead of filling memory.
      if (!response.writableNeedDrain) response.write(text);
    }
  }
}
