import { type Command, columns, syntaxOf } from './command.js';
import { OPERATIONS } from './operate.js';
import { PGBOUNCER_SHOWS } from './show-pgbouncer.js';
import { RINGFERRY_SHOWS } from './show-ringferry.js';

const showHelp: Command = {
  words: 'SHOW HELP',
  kind: 'show',
  parameters: [],
  options: [],
  summary: 'this table',
  columns: columns('text', 'command what'),
  run: () => COMMANDS.map((command) => [syntaxOf(command), command.summary]),
};

/** The table of commands: the control port, the HTTP API, the CLI and HELP are made from it. */
export const COMMANDS: readonly Command[] = [...PGBOUNCER_SHOWS, ...RINGFERRY_SHOWS, showHelp, ...OPERATIONS];
