import { Command, Option } from 'commander';
import { MIGRATION_ACTIONS } from '../admin/control.js';
import { VERSION } from '../admin/version.js';
import { systemClock } from '../lib/clock.js';
import { runCheck } from './check.js';
import { runExplain } from './explain.js';
import type { Io } from './io.js';
import { type MigrateContext, showStatus, startMigration, steerMigration } from './migrate.js';
import { runServe, type Signals } from './serve.js';
import { runAdmin, showRing } from './show.js';

/** The commands; `done` is told the exit status of the one that ran. */
export function createProgram(io: Io, signals: Signals, done: (status: number) => void): Command {
  const program = new Command('ringferry')
    .description(
      'A proxy that shards Postgres and MySQL behind their own wire protocols and moves data between shards under live traffic.',
    )
    .version(VERSION)
    .showHelpAfterError('(--help shows what can be written)')
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) });

  const add = (parent: Command, usage: string, summary: string): Command =>
    withCommonOptions(parent.command(usage).description(summary).copyInheritedSettings(program));

  add(program, 'serve', 'run the proxy').action(async (options) =>
    done(await runServe(io, { ...options, version: VERSION }, signals)),
  );

  add(program, 'demo', 'three real shards, live traffic, and a fourth shard added under it')
    .option('--engine <name>', 'postgres, or mariadb where MariaDB is installed', 'postgres')
    .option('--exit', 'end by itself, with status 0 only if nothing was lost or failed')
    .option('--workers <count>', 'processes that serve clients', '1')
    .action(async (options) => {
      const { demoCommand } = await import('./demo.js');
      done(
        await demoCommand({ exit: options.exit === true, engine: options.engine, workers: options.workers }),
      );
    });

  add(program, 'check', 'explain every mistake of the configuration, or say how statements route')
    .option(
      '--sql <file>',
      'say which statements of this file (- for standard input) are single-shard, scatter or not supported',
    )
    .option('--database <name>', 'the database that the statements are for')
    .action(async (options) => done(await runCheck(io, options)));

  add(program, 'explain <sql>', 'say which shards a statement goes to')
    .option('--database <name>', 'the database that it is for')
    .action(async (sql, options) => done(await runExplain(io, sql, options)));

  add(program, 'ring', 'show what each shard owns and what moves')
    .option('--database <name>', 'the database, when there are several')
    .option('--ranges', 'list every range of tokens')
    .action(async (options) => done(await showRing(io, options)));

  addMigrate(add, program, { io, clock: systemClock }, done);

  add(program, 'admin <command>', 'run a command of the control port, e.g. "SHOW POOLS"').action(
    async (text, options) => done(await runAdmin(io, text, options)),
  );
  return program;
}

type Add = (parent: Command, usage: string, summary: string) => Command;

function addMigrate(
  add: Add,
  program: Command,
  context: MigrateContext,
  done: (status: number) => void,
): void {
  const migrate = program
    .command('migrate')
    .description('move keys between shards, live')
    .copyInheritedSettings(program);

  startOptions(
    add(
      migrate,
      'add-shard <name>',
      'move a share of the keys to a new shard, and watch until it is switched',
    ),
  )
    .option('--url <url>', 'where the shard is, when the configuration does not say')
    .action(async (name, options) => done(await startMigration(context, 'ADD SHARD', name, options)));
  startOptions(
    add(migrate, 'remove-shard <name>', 'move all keys off a shard, and watch until it is switched'),
  ).action(async (name, options) => done(await startMigration(context, 'REMOVE SHARD', name, options)));
  startOptions(
    add(migrate, 'rebalance', 'move keys so that the ring is as if its shards had been there from the start'),
  ).action(async (options) => done(await startMigration(context, 'REBALANCE', undefined, options)));
  add(migrate, 'status [id]', 'list migrations, or tell everything about one')
    .option('--watch', 'show the progress until it is switched')
    .action(async (id, options) => done(await showStatus(context, id, options)));
  for (const action of MIGRATION_ACTIONS) {
    add(migrate, `${action} [id]`, ACTION_SUMMARIES[action])
      .option('--detach', 'do not wait until it has happened')
      .action(async (id, options) => done(await steerMigration(context, action, id, options)));
  }
}

const ACTION_SUMMARIES = {
  verify: 'compare every moved row now',
  pause: 'stop for a while; nothing is lost',
  resume: 'go on after pause or a failure',
  cutover: 'change the owner now (after --cutover manual)',
  rollback: 'after the cutover: go back to the owners before, losing nothing',
  finish: 'after the cutover: give up the way back and clean up',
  abort: 'before the cutover: leave everything as it was',
} as const;

function startOptions(command: Command): Command {
  return command
    .option('--database <name>', 'the database, when there are several')
    .addOption(
      new Option('--cutover <when>', 'change the owner by itself, or stop when ready').choices([
        'auto',
        'manual',
      ]),
    )
    .option('--finish <when>', 'give up the way back: now, manual, or after=10m (manual by default)')
    .option('--parallel <count>', 'COPY streams at once per source')
    .option('--dry-run', 'say what would move and what forbids it; change nothing')
    .option('--detach', 'start it and return at once');
}

function withCommonOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the configuration; it also says where the control port is')
    .option('--admin <host:port>', 'the control port of the running server')
    .option('--json', 'write JSON');
}
