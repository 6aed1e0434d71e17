import type { IncomingMessage } from 'node:http';
import { ConfigError } from '../config/mistakes.js';
import { asOperatingError, type ErrorCode, OperatingError } from '../lib/errors.js';
import type { Arguments, Cell, Command, CommandContext, Row } from './command.js';
import { COMMANDS } from './commands.js';
import { checkArguments } from './parse-command.js';

/** An answer as JSON. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Methods that are allowed, when the one used is not. */
  readonly allow?: string;
}

const MAX_BODY_BYTES = 65_536;

/**
 * The command table over HTTP: `SHOW POOLS` is GET /api/v1/pools, `MIGRATE CUTOVER` is POST /api/v1/migrate/cutover. More
 * parts of the path fill the parameters in order; others are given by name, in the query or as a JSON object.
 */
export async function answerApi(
  context: CommandContext,
  request: IncomingMessage,
  url: URL,
): Promise<ApiAnswer> {
  try {
    const parts = url.pathname
      .split('/')
      .slice(3)
      .map(decodeURIComponent)
      .filter((part) => part !== '');
    const command = findByPath(parts);
    if (command === undefined) return notFound(url.pathname);
    const method = methodOf(command);
    if (request.method !== method) {
      const body = errorBody('unsupported', `${command.words} is asked by ${method}`, undefined);
      return { status: 405, body, allow: method };
    }
    const byName = method === 'GET' ? Object.fromEntries(url.searchParams) : await readBody(request);
    const given = checkArguments(command, { ...byPosition(command, parts), ...byName });
    await context.control.gather('everything');
    const rows = await command.run(context, given);
    return {
      status: 200,
      body: { command: command.words, rows: rows.map((row) => rowObject(command, row)) },
    };
  } catch (thrown) {
    return answerError(thrown);
  }
}

/** Where a command is found: `/api/v1/pools`. */
export function pathOf(command: Command): string {
  return `/api/v1/${wordsOf(command).join('/')}`;
}

export function methodOf(command: Command): 'GET' | 'POST' {
  return command.kind === 'show' ? 'GET' : 'POST';
}

function wordsOf(command: Command): string[] {
  return command.words
    .toLowerCase()
    .replace(/^show /, '')
    .split(' ');
}

function findByPath(parts: readonly string[]): Command | undefined {
  const fits = COMMANDS.filter((command) => wordsOf(command).every((word, index) => word === parts[index]));
  return fits.sort((a, b) => b.words.length - a.words.length)[0];
}

function byPosition(command: Command, parts: readonly string[]): Arguments {
  const values = parts.slice(wordsOf(command).length);
  const extra = values[command.parameters.length];
  if (extra !== undefined) throw new OperatingError('unsupported-syntax', `"${extra}" is one part too many`);
  return Object.fromEntries(values.map((value, index) => [command.parameters[index]!.name, value]));
}

async function readBody(request: IncomingMessage): Promise<Arguments> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES)
      throw new OperatingError('limit-exceeded', `the body is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8').trim();
  if (text === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new OperatingError('unsupported-syntax', 'the body is not JSON', {
      cause,
      hint: 'Write an object, e.g. {"id": "m1"}.',
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new OperatingError('unsupported-syntax', 'the body is not a JSON object', {
      hint: 'Write an object, e.g. {"id": "m1"}.',
    });
  }
  return Object.fromEntries(Object.entries(value).map(([name, given]) => [name, String(given)]));
}

function rowObject(command: Command, row: Row): Record<string, Exclude<Cell, bigint>> {
  return Object.fromEntries(
    command.columns.map(({ name }, index) => {
      const cell = row[index] ?? null;
      // JSON has no 64-bit integers.
      return [name, typeof cell === 'bigint' ? String(cell) : cell];
    }),
  );
}

const STATUS_BY_CODE: Partial<Record<ErrorCode, number>> = {
  'unsupported-syntax': 400,
  'invalid-parameter': 400,
  'invalid-key': 400,
  unsupported: 400,
  configuration: 400,
  'limit-exceeded': 413,
  'unknown-database': 404,
  migration: 409,
  'not-ready': 503,
  'shutting-down': 503,
  'shard-unavailable': 503,
  'shard-connect-failed': 503,
};

function answerError(thrown: unknown): ApiAnswer {
  if (thrown instanceof URIError)
    return {
      status: 400,
      body: errorBody('unsupported-syntax', 'the address is not well encoded', undefined),
    };
  if (thrown instanceof ConfigError)
    return { status: 400, body: errorBody('configuration', thrown.message, undefined) };
  const error = asOperatingError(thrown);
  return {
    status: STATUS_BY_CODE[error.code] ?? 500,
    body: errorBody(error.code, error.message, error.hint),
  };
}

export function errorBody(code: string, message: string, hint: string | undefined): unknown {
  return { error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}

function notFound(path: string): ApiAnswer {
  const commands = COMMANDS.map((command) => `${methodOf(command)} ${pathOf(command)}`);
  return {
    status: 404,
    body: {
      ...(errorBody('unsupported', `there is nothing at ${path}`, undefined) as object),
      paths: commands,
    },
  };
}
