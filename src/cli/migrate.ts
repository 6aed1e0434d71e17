import type { Clock } from '../lib/clock.js';
import {
  ControlClient as Client,
  type ControlClient,
  quoted,
  type Row,
  withControl,
} from './control-client.js';
import { CommandFailure, type Io, toJson } from './io.js';
import { formatCount } from './progress.js';
import { formatTable } from './table.js';
import { type CommonOptions, findTarget, type Target } from './target.js';
import { type WatchGoal, watchMigration } from './watch.js';

export interface MigrateContext {
  readonly io: Io;
  readonly clock: Clock;
}

export interface StartOptions extends CommonOptions {
  readonly url?: string;
  readonly database?: string;
  readonly cutover?: string;
  readonly finish?: string;
  readonly parallel?: string;
  readonly dryRun?: boolean;
  readonly detach?: boolean;
}

/** `migrate add-shard`, `remove-shard` and `rebalance`: starts and watches, or says what would move. */
export async function startMigration(
  context: MigrateContext,
  words: 'ADD SHARD' | 'REMOVE SHARD' | 'REBALANCE',
  name: string | undefined,
  options: StartOptions,
): Promise<number> {
  const parts = [words, name, options.url]
    .filter((part) => part !== undefined)
    .map((part, index) => (index === 0 ? part : quoted(part)));
  for (const option of ['database', 'cutover', 'finish', 'parallel'] as const) {
    const value = options[option];
    if (value !== undefined) parts.push(`${option}=${quoted(value)}`);
  }
  const command = parts.join(' ');
  const target = findTarget(options, context.io);
  return withControl(target, async (client) => {
    if (options.dryRun) return showPlan(context.io, await client.rows(`EXPLAIN ${command}`), options);
    const [started] = await client.rows(command);
    if (started === undefined) throw new CommandFailure('the server did not say that the migration began');
    const id = String(started['id']);
    if (options.detach) return detached(context.io, started, options);
    if (!options.json)
      context.io.out(
        `Migration ${id}: ${started['kind']} ${started['shard'] ?? ''}, ${started['share_percent']} % of the keys of ${started['database']} move.\n`,
      );
    const goal: WatchGoal =
      options.cutover === 'manual' ? 'ready' : options.finish === 'now' ? 'done' : 'switched';
    const row = await watch(context, client, target, id, goal, options);
    if (!options.json) context.io.out(reached(row, options));
    return 0;
  });
}

function detached(io: Io, started: Row, options: CommonOptions): number {
  const id = String(started['id']);
  io.out(
    options.json
      ? `${toJson(started)}\n`
      : `Migration ${id} has begun.\nWatch it: ringferry migrate status ${id} --watch\n`,
  );
  return 0;
}

function reached(row: Row, options: StartOptions): string {
  const id = row['id'];
  const lines = [];
  if (row['hold_ms'] !== null)
    lines.push(`Statements for the moving keys were held for ${row['hold_ms']} ms.`);
  if (row['compared_rows'] !== null)
    lines.push(
      `${formatCount(Number(row['compared_rows']))} rows compared, ${row['differences']} differences.`,
    );
  if (row['phase'] === 'ready')
    lines.push(
      `Ready: ringferry migrate cutover ${id} changes the owner; ringferry migrate abort ${id} leaves everything as it was.`,
    );
  else if (row['phase'] === 'done')
    lines.push('Done: the way back is given up and everything is cleaned up.');
  else {
    const later = options.finish?.startsWith('after=')
      ? `finishes by itself ${options.finish.slice('after='.length)} after the cutover`
      : `give it up and clean up with: ringferry migrate finish ${id}`;
    lines.push(`Switched. The way back is open (ringferry migrate rollback ${id}); ${later}.`);
  }
  return `${lines.join('\n')}\n`;
}

/** The dry run: what would move, and what forbids it. Status 1 when something does. */
function showPlan(io: Io, rows: readonly Row[], options: CommonOptions): number {
  const blockers = rows.filter((row) => row['item'] === 'blocker');
  if (options.json) {
    io.out(`${toJson({ rows })}\n`);
    return blockers.length === 0 ? 0 : 1;
  }
  const moves = rows.filter((row) => row['item'] === 'move');
  const copies = rows.filter((row) => row['item'] === 'copy');
  if (moves.length === 0) io.out('Nothing would move.\n');
  else io.out(formatTable({ columns: ['source', 'target', 'ranges', 'share_percent'], rows: moves }));
  if (copies.length > 0)
    io.out(`\n${formatTable({ columns: ['source', 'table', 'estimated_rows'], rows: copies })}`);
  for (const blocker of blockers)
    io.out(`\nforbidden by shard ${blocker['source']}: ${blocker['problem']}\n    ${blocker['remedy']}\n`);
  if (blockers.length === 0) io.out('\nNothing forbids it. (This was a dry run: nothing has changed.)\n');
  return blockers.length === 0 ? 0 : 1;
}

/** Which phase ends the watch of an action; undefined: it is done at once. */
const ACTION_GOALS: Readonly<Record<string, WatchGoal | undefined>> = {
  cutover: 'switched',
  rollback: 'aborted',
  finish: 'done',
  abort: 'aborted',
};

const ENDED: ReadonlySet<unknown> = new Set(['done', 'aborted']);

/** `migrate cutover ID` and the like. Without an ID the only migration that is not ended is meant. */
export async function steerMigration(
  context: MigrateContext,
  action: string,
  id: string | undefined,
  options: CommonOptions & { readonly detach?: boolean },
): Promise<number> {
  const target = findTarget(options, context.io);
  return withControl(target, async (client) => {
    const meant = id ?? (await onlyMigration(client));
    const [steered] = await client.rows(`MIGRATE ${action.toUpperCase()} ${quoted(meant)}`);
    const goal = ACTION_GOALS[action];
    if (goal !== undefined && !options.detach) {
      const row = await watch(context, client, target, meant, goal, options);
      if (!options.json) context.io.out(`${action} of ${meant}: ${row['phase']}.\n`);
      return 0;
    }
    if (options.json) context.io.out(`${toJson(steered ?? {})}\n`);
    else context.io.out(steeredText(action, meant, steered));
    return action === 'verify' && Number(steered?.['differences'] ?? 0) > 0 ? 1 : 0;
  });
}

function steeredText(action: string, id: string, row: Row | undefined): string {
  if (action !== 'verify' || row === undefined || row['compared_rows'] === null)
    return `${action} of ${id}: asked for.\n`;
  return `${formatCount(Number(row['compared_rows']))} rows compared, ${row['differences']} differences, ${row['repaired_rows']} repaired.\n`;
}

async function onlyMigration(client: ControlClient): Promise<string> {
  const running = (await client.rows('SHOW MIGRATIONS')).filter((row) => !ENDED.has(row['phase']));
  if (running.length === 1) return String(running[0]!['id']);
  const names = running.map((row) => row['id']).join(', ');
  throw new CommandFailure(
    running.length === 0 ? 'no migration is running' : 'say which migration is meant',
    running.length === 0 ? 'ringferry migrate status lists them all.' : `Running are ${names}.`,
  );
}

/** `migrate status [ID] [--watch]`. */
export async function showStatus(
  context: MigrateContext,
  id: string | undefined,
  options: CommonOptions & { readonly watch?: boolean },
): Promise<number> {
  const target = findTarget(options, context.io);
  return withControl(target, async (client) => {
    if (options.watch) {
      const meant = id ?? (await onlyMigration(client));
      const row = await watch(context, client, target, meant, 'switched', options);
      if (!options.json) context.io.out(`${meant}: ${row['phase']}\n`);
      return 0;
    }
    const command = id === undefined ? 'SHOW MIGRATIONS' : `SHOW MIGRATION ${quoted(id)}`;
    const [answer] = await client.run(command);
    if (options.json) context.io.out(`${toJson({ rows: answer?.rows ?? [] })}\n`);
    else
      context.io.out(
        id === undefined
          ? formatTable({ columns: STATUS_COLUMNS, rows: answer?.rows ?? [] })
          : formatTable(answer ?? { columns: [], rows: [] }),
      );
    return 0;
  });
}

/** What fits on a screen; `--json` has everything. */
const STATUS_COLUMNS = [
  'id',
  'database',
  'kind',
  'shard',
  'phase',
  'share_percent',
  'copied_rows',
  'estimated_rows',
  'lag_bytes',
  'hold_ms',
  'failure',
];

function watch(
  context: MigrateContext,
  client: ControlClient,
  target: Target,
  id: string,
  goal: WatchGoal,
  options: CommonOptions,
): Promise<Row> {
  return watchMigration(client, {
    id,
    goal,
    io: context.io,
    clock: context.clock,
    isJson: options.json === true,
    reconnect: () => Client.connect(target),
  });
}
