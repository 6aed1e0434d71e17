import { readFile } from 'node:fs/promises';
import type { DatabaseConfig } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { ConfigError, formatMistake } from '../config/mistakes.js';
import { type Explained, openExplainer } from './explained.js';
import { CommandFailure, type Io, toJson } from './io.js';
import { type CommonOptions, requireConfigPath } from './target.js';

export interface CheckOptions extends CommonOptions {
  /** A file of statements, `-` for standard input. */
  readonly sql?: string;
  readonly database?: string;
}

/** `check`: explains every mistake of the configuration, or says how statements route. Status 1 when something is wrong. */
export async function runCheck(io: Io, options: CheckOptions): Promise<number> {
  if (options.sql !== undefined || io.isStdinFile) return checkStatements(io, options);
  const path = requireConfigPath(options, io);
  try {
    const { config, warnings } = loadConfig(path, io.env);
    if (options.json) {
      io.out(`${toJson({ file: path, mistakes: [], warnings })}\n`);
      return 0;
    }
    for (const warning of warnings) io.out(`warning: ${formatMistake(path, warning)}\n`);
    io.out(`${path}: no mistakes\n`);
    for (const database of Object.values(config.databases)) io.out(`  ${describe(database)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (options.json) io.out(`${toJson({ file: path, mistakes: error.mistakes, warnings: [] })}\n`);
    else
      io.out(
        `${error.message}\n\n${error.mistakes.length === 1 ? '1 mistake' : `${error.mistakes.length} mistakes`}\n`,
      );
    return 1;
  }
}

function describe(database: DatabaseConfig): string {
  const shards = Object.keys(database.shards);
  const tables = Object.entries(database.tables);
  const keyed = tables.filter(([, table]) => 'key' in table).length;
  if (shards.length === 1 && tables.length === 0)
    return `${database.name}: passed through to one server (${database.pool.mode} mode, ${database.pool.size} connections)`;
  return `${database.name}: shards ${shards.join(', ')} (home ${database.home}), ${keyed} sharded and ${tables.length - keyed} reference tables; all others live on ${database.home}`;
}

async function checkStatements(io: Io, options: CheckOptions): Promise<number> {
  const sql = await readStatements(io, options.sql);
  const explainer = await openExplainer(io, options);
  try {
    const found = countEqual(await explainer.explain(sql));
    if (options.json) {
      io.out(
        `${toJson({ source: explainer.source, statements: found.map(({ explained, count }) => ({ ...explained, count })) })}\n`,
      );
    } else {
      io.out(`As ${explainer.source} sees it:\n\n`);
      for (const { explained, count } of found) io.out(explainedText(explained, count));
      io.out(`\n${summary(found)}\n`);
    }
    return found.some(({ explained }) => explained.problem !== null) ? 1 : 0;
  } finally {
    await explainer.close();
  }
}

async function readStatements(io: Io, file: string | undefined): Promise<string> {
  if (file === undefined || file === '-') return io.readStdin();
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CommandFailure(
      `the file ${file} cannot be read: ${(error as Error).message}`,
      'Write --sql FILE, or --sql - for statements on standard input.',
      { cause: error },
    );
  }
}

interface Counted {
  readonly explained: Explained;
  count: number;
}

/** The same statement many times, as in a log, is told once. */
function countEqual(all: readonly Explained[]): Counted[] {
  const found = new Map<string, Counted>();
  for (const explained of all) {
    const before = found.get(explained.statement);
    if (before === undefined) found.set(explained.statement, { explained, count: 1 });
    else before.count++;
  }
  return [...found.values()];
}

const STATEMENT_WIDTH = 100;

/** One statement with its route, as people read it. */
export function explainedText(explained: Explained, count = 1): string {
  const { kind, shards, key, problem, hint } = explained;
  const oneLine = explained.statement.replace(/\s+/g, ' ');
  const statement = oneLine.length > STATEMENT_WIDTH ? `${oneLine.slice(0, STATEMENT_WIDTH - 1)}…` : oneLine;
  const where = [key === '' ? '' : `key ${key}`, shards === '' ? '' : `on ${shards}`]
    .filter((text) => text !== '')
    .join(' ');
  const times = count === 1 ? '' : ` (${count} times)`;
  const first = `${kind.padEnd(14)} ${statement}${times}\n`;
  if (problem !== null)
    return `${first}${' '.repeat(15)}${problem}\n${hint === null ? '' : `${' '.repeat(15)}${hint}\n`}`;
  return where === '' ? first : `${first}${' '.repeat(15)}${where}\n`;
}

function summary(found: readonly Counted[]): string {
  const kinds = new Map<string, number>();
  for (const { explained, count } of found)
    kinds.set(explained.kind, (kinds.get(explained.kind) ?? 0) + count);
  const total = [...kinds.values()].reduce((sum, count) => sum + count, 0);
  const parts = [...kinds].sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${count} ${kind}`);
  return `${total} statement${total === 1 ? '' : 's'}: ${parts.join(', ') || 'nothing to route'}`;
}
