import type { Clock } from '../lib/clock.js';
import { PHASES, type Phase } from '../migration/record.js';
import { ConnectionLost, type ControlClient, type Row } from './control-client.js';
import { CommandFailure, type Io, toJson } from './io.js';
import { formatBar, formatBytes, formatCount, formatDuration, LiveLine, Rate } from './progress.js';

/** How a watch ends well. */
export type WatchGoal = 'ready' | 'switched' | 'done' | 'aborted';

export interface WatchOptions {
  readonly id: string;
  readonly goal: WatchGoal;
  readonly io: Io;
  readonly clock: Clock;
  readonly isJson: boolean;
  /** Opens a new connection after one was lost. */
  readonly reconnect: () => Promise<ControlClient>;
}

const POLL_MS = 250;
const PLAIN_PERIOD_MS = 5000;
const RECONNECT_TRIES = 60;
const BAR_WIDTH = 24;

/** Shows a migration until its goal is reached; throws CommandFailure, with the reason and what to do, when it cannot be. */
export async function watchMigration(client: ControlClient, options: WatchOptions): Promise<Row> {
  const view = new MigrationView(options);
  let current = client;
  try {
    for (;;) {
      let row: Row | undefined;
      try {
        row = (await current.rows('SHOW MIGRATIONS')).find((candidate) => candidate['id'] === options.id);
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        current = await reconnected(options, view, error);
        continue;
      }
      if (row === undefined)
        throw new CommandFailure(
          `there is no migration ${options.id} any more`,
          'ringferry migrate status lists them.',
        );
      view.show(row, options.clock.now());
      if (isReached(row, options.goal)) return row;
      throwIfLost(row, options.goal);
      await options.clock.sleep(POLL_MS);
    }
  } finally {
    view.end();
    if (current !== client) await current.close();
  }
}

async function reconnected(
  options: WatchOptions,
  view: MigrationView,
  lost: ConnectionLost,
): Promise<ControlClient> {
  view.note('the connection was lost; the migration goes on when the server is back …');
  for (let attempt = 0; attempt < RECONNECT_TRIES; attempt++) {
    await options.clock.sleep(POLL_MS * 2);
    try {
      return await options.reconnect();
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
    }
  }
  throw new CommandFailure(
    lost.message,
    `The migration is kept: when the server is back, see ringferry migrate status ${options.id} --watch.`,
    { cause: lost },
  );
}

function phaseOf(row: Row): Phase {
  return String(row['phase']) as Phase;
}

function isReached(row: Row, goal: WatchGoal): boolean {
  const phase = phaseOf(row);
  if (goal === 'aborted') return phase === 'aborted';
  return PHASES.indexOf(phase) >= PHASES.indexOf(goal) && PHASES.indexOf(phase) <= PHASES.indexOf('done');
}

/** Phases from which the goal is not reached any more. */
function throwIfLost(row: Row, goal: WatchGoal): void {
  const phase = phaseOf(row);
  const id = String(row['id']);
  if (phase === 'failed') {
    throw new CommandFailure(
      `the migration failed while ${row['failed_phase']}: ${row['failure']}`,
      remedyFor(String(row['failed_phase']), id),
    );
  }
  if (goal === 'aborted' && phase === 'done')
    throw new CommandFailure(
      `the migration ${id} is finished`,
      'There is no way back after finish; move the keys back with a new migration.',
    );
  if (goal !== 'aborted' && phase === 'aborted') {
    const reason = row['failure'] === null ? 'it was aborted or rolled back' : String(row['failure']);
    throw new CommandFailure(
      `the migration ${id} did not happen: ${reason}`,
      'Everything is as it was before. Start it again when the cause is gone.',
    );
  }
}

function remedyFor(phase: string, id: string): string {
  const isBefore = PHASES.indexOf(phase as Phase) < PHASES.indexOf('switched');
  const back = isBefore ? `, or leave everything as it was: ringferry migrate abort ${id}` : '';
  return `Mend the cause, then go on: ringferry migrate resume ${id}${back}.`;
}

/** One migration on the screen: a line for each phase that is over, and a moving one for the phase that runs. */
class MigrationView {
  readonly #options: WatchOptions;
  readonly #line: LiveLine;
  readonly #copied = new Rate();
  #phase: string | undefined;
  #phaseSinceMs = 0;
  #copiedAtPhaseStart = 0;
  #printedAtMs = 0;
  #shown = '';

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#line = new LiveLine(options.io);
  }

  show(row: Row, nowMs: number): void {
    if (this.#options.isJson) {
      this.#showJson(row);
      return;
    }
    this.#copied.add(nowMs, Number(row['copied_rows']));
    const phase = `${row['phase']}${row['paused'] ? ' (paused)' : ''}`;
    if (phase !== this.#phase) this.#changePhase(phase, row, nowMs);
    const text = `${phase.padEnd(13)} ${this.#progress(row, nowMs)}`.trimEnd();
    this.#line.draw(`  ${text}`);
    const isDue = nowMs - this.#printedAtMs >= PLAIN_PERIOD_MS;
    if (this.#options.io.isTerminal || !isDue) return;
    this.#line.print(text);
    this.#printedAtMs = nowMs;
  }

  note(text: string): void {
    if (!this.#options.isJson) this.#line.print(text);
  }

  end(): void {
    this.#line.clear();
  }

  #changePhase(phase: string, row: Row, nowMs: number): void {
    if (this.#phase !== undefined) {
      const copied = Number(row['copied_rows']) - this.#copiedAtPhaseStart;
      const tookMs = nowMs - this.#phaseSinceMs;
      const rows =
        copied > 0 && tookMs > 0
          ? `${formatCount(copied)} rows, ${formatCount((copied * 1000) / tookMs)} rows/s`
          : '';
      const hold =
        row['hold_ms'] !== null && this.#phase === 'cutting-over' ? `held ${row['hold_ms']} ms` : '';
      this.#line.print(
        `✔ ${this.#phase.padEnd(13)} ${formatDuration(tookMs).padStart(8)}  ${rows}${hold}`.trimEnd(),
      );
    }
    this.#phase = phase;
    this.#phaseSinceMs = nowMs;
    this.#copiedAtPhaseStart = Number(row['copied_rows']);
    this.#printedAtMs = nowMs;
    if (!this.#options.io.isTerminal) this.#line.print(`${phase} …`);
  }

  #progress(row: Row, nowMs: number): string {
    const copied = Number(row['copied_rows']);
    const estimated = Number(row['estimated_rows']);
    if (phaseOf(row) === 'backfilling' && estimated > 0) {
      const rate = this.#copied.perSecond;
      const left = rate > 0 ? `  ${formatDuration(((estimated - copied) * 1000) / rate)} left` : '';
      const percent = Math.floor((100 * copied) / estimated);
      return `${formatBar(copied / estimated, BAR_WIDTH)} ${percent} %  ${formatCount(copied)} of ${formatCount(estimated)} rows  ${formatCount(rate)} rows/s${left}`;
    }
    const lag = row['lag_bytes'] === null ? '' : `lag ${formatBytes(Number(row['lag_bytes']))}  `;
    const applied =
      Number(row['applied_rows']) > 0 ? `${formatCount(Number(row['applied_rows']))} changes applied  ` : '';
    return `${formatDuration(nowMs - this.#phaseSinceMs)}  ${lag}${applied}`;
  }

  #showJson(row: Row): void {
    const text = toJson(row);
    if (text !== this.#shown) this.#options.io.out(`${text}\n`);
    this.#shown = text;
  }
}
