import type { Clock } from '../lib/clock.js';
import type { Frontend } from '../proxy/frontend.js';
import type { CommandContext } from './command.js';
import { ConsoleSession } from './console.js';
import type { Control } from './control.js';
import { type HttpOptions, type RunningHttp, startHttp } from './http.js';
import { StatsWindow } from './stats-window.js';

/** The face of one running server: the control port's sessions and HTTP, over one table of commands. */
export class Face {
  readonly #context: CommandContext;
  readonly #stats: StatsWindow;
  readonly #clock: Clock;

  constructor(control: Control, clock: Clock) {
    this.#stats = new StatsWindow(control, clock);
    this.#context = { control, stats: this.#stats };
    this.#clock = clock;
  }

  /** Serves a client of the control port that has logged in. */
  serveConsole(frontend: Frontend): void {
    new ConsoleSession(frontend, this.#context).start();
  }

  startHttp(options: Omit<HttpOptions, 'clock'>): Promise<RunningHttp> {
    return startHttp(this.#context, { ...options, clock: this.#clock });
  }

  close(): void {
    this.#stats.close();
  }
}
