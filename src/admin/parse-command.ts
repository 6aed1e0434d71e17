import { OperatingError } from '../lib/errors.js';
import { type Arguments, type Command, syntaxOf } from './command.js';
import { COMMANDS } from './commands.js';

/** A command as someone wrote it, understood. */
export interface ParsedCommand {
  readonly command: Command;
  readonly given: Arguments;
}

interface Token {
  readonly text: string;
  readonly isQuoted: boolean;
  /** Where it begins and ends in the text. */
  readonly start: number;
  readonly end: number;
}

/** Reads one command, e.g. `ADD SHARD d 'postgres://…' cutover=manual`. Throws OperatingError that says what to write. */
export function parseCommand(text: string): ParsedCommand {
  const tokens = tokenize(text);
  const command = findCommand(tokens);
  if (command === undefined) throw unknownCommand(tokens);
  const words = command.words.split(' ').length;
  return { command, given: readArguments(command, tokens.slice(words), text) };
}

/** Checks arguments that came by name (HTTP, CLI) against the table. */
export function checkArguments(command: Command, given: Arguments): Arguments {
  const names = [...command.parameters.map((parameter) => parameter.name), ...command.options];
  for (const name of Object.keys(given))
    if (!names.includes(name)) throw wrongUse(command, `${name} is not known`);
  for (const { name, isRequired } of command.parameters) {
    if (isRequired && (given[name] ?? '').trim() === '') throw wrongUse(command, `${name} is missing`);
  }
  return given;
}

/** Words, 'quoted' and "quoted" texts (doubled quotes inside); a part in quotes may follow `name=`. */
function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = /(?:[^\s'";]+|'(?:[^']|'')*'|"(?:[^"]|"")*")+/g;
  for (const match of text.matchAll(pattern)) {
    const raw = match[0];
    const unquoted = raw.replace(
      /'((?:[^']|'')*)'|"((?:[^"]|"")*)"/g,
      (_, single?: string, double?: string) =>
        single === undefined ? double!.replaceAll('""', '"') : single.replaceAll("''", "'"),
    );
    tokens.push({
      text: unquoted,
      isQuoted: /^['"]/.test(raw),
      start: match.index,
      end: match.index + raw.length,
    });
  }
  return tokens;
}

function findCommand(tokens: readonly Token[]): Command | undefined {
  const spoken = tokens.slice(0, 4).map((token) => (token.isQuoted ? '' : token.text.toUpperCase()));
  if (spoken[0] === 'HELP') spoken.splice(0, 1, 'SHOW', 'HELP');
  const fits = COMMANDS.filter(({ words }) =>
    words.split(' ').every((word, index) => word === spoken[index]),
  );
  return fits.sort((a, b) => b.words.length - a.words.length)[0];
}

function readArguments(command: Command, tokens: readonly Token[], text: string): Arguments {
  const given: Record<string, string> = {};
  let position = 0;
  for (const token of tokens) {
    const parameter = command.parameters[position];
    if (parameter?.isRest) {
      given[parameter.name] = text.slice(token.start).replace(/;\s*$/, '');
      break;
    }
    const option = /^([a-z_]+)=(.*)$/is.exec(token.text);
    const name = option?.[1]?.toLowerCase();
    if (name !== undefined && command.options.includes(name) && !token.isQuoted) {
      given[name] = option![2]!;
    } else if (parameter === undefined) {
      throw wrongUse(command, `"${token.text}" is one word too many`);
    } else {
      given[parameter.name] = token.text;
      position++;
    }
  }
  return checkArguments(command, given);
}

function wrongUse(command: Command, message: string): OperatingError {
  return new OperatingError('unsupported-syntax', `${command.words}: ${message}`, {
    hint: `Write ${syntaxOf(command)}.`,
  });
}

function unknownCommand(tokens: readonly Token[]): OperatingError {
  const first = tokens[0]?.text.toUpperCase() ?? '';
  const similar = COMMANDS.filter(({ words }) => words.split(' ')[0] === first).map(({ words }) => words);
  const shown = tokens
    .slice(0, 3)
    .map((token) => token.text)
    .join(' ');
  const hint = similar.length > 0 ? `Write ${similar.join(', ')}.` : 'SHOW HELP lists all commands.';
  return new OperatingError('unsupported-syntax', `the command "${shown}" is not known`, { hint });
}
