import type { Control } from './control.js';
import type { StatsWindow } from './stats-window.js';

/** One field of a result, before it is written for the wire or as JSON. Dates are written as text by the command. */
export type Cell = string | number | bigint | boolean | null;
export type Row = readonly Cell[];

export type ColumnType = 'text' | 'int4' | 'int8' | 'numeric' | 'bool';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

/** What a command was given: parameters and options by name. */
export type Arguments = Readonly<Record<string, string>>;

export interface Parameter {
  readonly name: string;
  readonly isRequired: boolean;
  /** Takes the rest of the text as it is: SQL. */
  readonly isRest?: boolean;
}

/** What commands work on. */
export interface CommandContext {
  readonly control: Control;
  readonly stats: StatsWindow;
}

/** One row of the table of commands: the control port, the HTTP API, the CLI and HELP are made from it. */
export interface Command {
  /** The words it starts with, in capitals: `SHOW POOLS`. */
  readonly words: string;
  /** `show` changes nothing: GET over HTTP. */
  readonly kind: 'show' | 'operate';
  /** In the order they are written. */
  readonly parameters: readonly Parameter[];
  /** Written as `name=value` after the parameters. */
  readonly options: readonly string[];
  readonly summary: string;
  /** Empty when it answers with no rows. */
  readonly columns: readonly Column[];
  /** Throws OperatingError when refused. */
  run(context: CommandContext, given: Arguments): readonly Row[] | Promise<readonly Row[]>;
}

/** How a command is written: `ADD SHARD name url [database=…] …`. */
export function syntaxOf(command: Command): string {
  const parameters = command.parameters.map(({ name, isRequired }) =>
    isRequired ? `<${name}>` : `[${name}]`,
  );
  return [command.words, ...parameters, ...command.options.map((option) => `[${option}=…]`)].join(' ');
}

/** Columns from a compact text: names by type, e.g. `columns('text', 'database user', 'int4', 'cl_active')`. */
export function columns(...typesAndNames: readonly string[]): Column[] {
  const result: Column[] = [];
  for (let index = 0; index < typesAndNames.length; index += 2) {
    for (const name of typesAndNames[index + 1]!.split(/\s+/))
      result.push({ name, type: typesAndNames[index] as ColumnType });
  }
  return result;
}

export const OPTIONAL_DATABASE: readonly Parameter[] = [{ name: 'database', isRequired: false }];
