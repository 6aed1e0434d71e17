import { OperatingError } from '../lib/errors.js';
import type { MigrationOptions } from '../migration/record.js';
import { requireDatabase } from './choose-database.js';
import { type Arguments, type Command, columns, OPTIONAL_DATABASE, type Parameter } from './command.js';
import { type Control, MIGRATION_ACTIONS, type MigrationAction, type MigrationRequest } from './control.js';
import { MIGRATION_COLUMNS, migrationRow, PLAN_COLUMNS, planRows } from './migration-rows.js';

/** PgBouncer's operations: pause and the like, with an optional or required database. */
function operation(
  words: string,
  parameters: readonly Parameter[],
  summary: string,
  act: (control: Control, given: Arguments) => Promise<void>,
): Command {
  return {
    words,
    kind: 'operate',
    parameters,
    options: [],
    summary,
    columns: [],
    run: async ({ control }, given) => {
      if (given['database'] !== undefined) requireDatabase(control, given);
      await act(control, given);
      return [];
    },
  };
}

const REQUIRED_DATABASE: readonly Parameter[] = [{ name: 'database', isRequired: true }];

const PGBOUNCER_OPERATIONS: readonly Command[] = [
  operation(
    'PAUSE',
    OPTIONAL_DATABASE,
    'wait for running transactions, then keep new ones waiting',
    (control, given) => control.pause(given['database']),
  ),
  operation('RESUME', OPTIONAL_DATABASE, 'end PAUSE or KILL', (control, given) =>
    control.resume(given['database']),
  ),
  operation(
    'KILL',
    REQUIRED_DATABASE,
    'close all connections of a database at once; RESUME lets clients in again',
    (control, given) => control.kill(given['database']!),
  ),
  operation(
    'RECONNECT',
    OPTIONAL_DATABASE,
    'replace each server connection when it is released',
    (control, given) => control.reconnect(given['database']),
  ),
  operation(
    'SHUTDOWN',
    [{ name: 'mode', isRequired: false }],
    'end; WAIT_FOR_CLIENTS or WAIT_FOR_SERVERS lets clients finish',
    (control, given) => control.shutdown(shutdownMode(given['mode'])),
  ),
];

function shutdownMode(mode: string | undefined): 'now' | 'wait' {
  if (mode === undefined) return 'now';
  if (/^wait_for_(clients|servers)$/i.test(mode)) return 'wait';
  throw new OperatingError('invalid-parameter', `SHUTDOWN ${mode} is not known`, {
    hint: 'Write SHUTDOWN, or SHUTDOWN WAIT_FOR_CLIENTS.',
  });
}

const reload: Command = {
  words: 'RELOAD',
  kind: 'operate',
  parameters: [],
  options: [],
  summary: 'read the configuration file again; tells the settings that wait for a restart',
  columns: columns('text', 'waits_for_restart'),
  run: async ({ control }) => (await control.reload()).map((setting) => [setting]),
};

/** The three ways to start a migration, each with its EXPLAIN that only says what would happen. */
const STARTS: readonly {
  readonly words: string;
  readonly kind: MigrationRequest['kind'];
  readonly parameters: readonly Parameter[];
  readonly summary: string;
}[] = [
  {
    words: 'ADD SHARD',
    kind: 'add-shard',
    parameters: [
      { name: 'name', isRequired: true },
      { name: 'url', isRequired: false },
    ],
    summary:
      'move a share of the keys to a new shard, live; the url may be left out for a shard of the configuration',
  },
  {
    words: 'REMOVE SHARD',
    kind: 'remove-shard',
    parameters: [{ name: 'name', isRequired: true }],
    summary: 'move all keys off a shard, live',
  },
  {
    words: 'REBALANCE',
    kind: 'rebalance',
    parameters: [],
    summary: 'move keys so that the ring is as if all its shards had been there from the start',
  },
];

const MIGRATION_OPTIONS = ['database', 'cutover', 'finish', 'parallel'] as const;

const MIGRATION_STARTS: readonly Command[] = STARTS.map(({ words, kind, parameters, summary }) => ({
  words,
  kind: 'operate',
  parameters,
  options: MIGRATION_OPTIONS,
  summary,
  columns: MIGRATION_COLUMNS,
  run: async ({ control }, given) => [
    migrationRow(await control.startMigration(migrationRequest(control, kind, given))),
  ],
}));

const MIGRATION_PLANS: readonly Command[] = STARTS.map(({ words, kind, parameters }) => ({
  words: `EXPLAIN ${words}`,
  kind: 'show',
  parameters,
  options: MIGRATION_OPTIONS,
  summary: `what ${words} would move, and what forbids it`,
  columns: PLAN_COLUMNS,
  run: async ({ control }, given) =>
    planRows(await control.planMigration(migrationRequest(control, kind, given))),
}));

function migrationRequest(
  control: Control,
  kind: MigrationRequest['kind'],
  given: Arguments,
): MigrationRequest {
  return {
    database: requireDatabase(control, given),
    kind,
    shard: given['name'],
    url: given['url'],
    options: migrationOptions(given),
  };
}

function migrationOptions({ cutover, finish, parallel }: Arguments): Partial<MigrationOptions> {
  if (cutover !== undefined && cutover !== 'auto' && cutover !== 'manual')
    throw badOption('cutover', cutover, 'auto or manual');
  if (parallel !== undefined && !/^[1-9]\d{0,3}$/.test(parallel))
    throw badOption('parallel', parallel, 'a number of COPY streams, e.g. 4');
  return {
    ...(cutover === undefined ? {} : { cutover }),
    ...(finish === undefined ? {} : { finish: finishOption(finish) }),
    ...(parallel === undefined ? {} : { parallel: Number(parallel) }),
  };
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function finishOption(text: string): MigrationOptions['finish'] {
  if (text === 'now' || text === 'manual') return text;
  const match = /^after=(\d+)(ms|s|m|h|d)$/.exec(text);
  if (match === null) throw badOption('finish', text, 'now, manual, or after=10m (ms, s, m, h, d)');
  return { afterMs: Number(match[1]) * UNIT_MS[match[2]!]! };
}

function badOption(name: string, value: string, remedy: string): OperatingError {
  return new OperatingError('invalid-parameter', `${name}=${value} is not known`, {
    hint: `Write ${remedy}.`,
  });
}

const ACTION_SUMMARIES: Readonly<Record<MigrationAction, string>> = {
  verify: 'compare every moved row now',
  pause: 'stop copying for a while; nothing is lost',
  resume: 'go on after PAUSE',
  cutover: 'let the owner change now (for cutover=manual)',
  rollback: 'after the cutover: go back to the old owners, losing nothing',
  finish: 'after the cutover: give up the way back and clean up',
  abort: 'before the cutover: leave everything as it was',
};

const MIGRATION_STEERS: readonly Command[] = MIGRATION_ACTIONS.map((action) => ({
  words: `MIGRATE ${action.toUpperCase()}`,
  kind: 'operate',
  parameters: [{ name: 'id', isRequired: true }],
  options: [],
  summary: ACTION_SUMMARIES[action],
  columns: MIGRATION_COLUMNS,
  run: async ({ control }, given) => [migrationRow(await control.steerMigration(given['id']!, action))],
}));

export const OPERATIONS: readonly Command[] = [
  ...PGBOUNCER_OPERATIONS,
  reload,
  ...MIGRATION_STARTS,
  ...MIGRATION_PLANS,
  ...MIGRATION_STEERS,
];
