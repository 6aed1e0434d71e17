import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { buildConfig } from './build.js';
import { checkMeaning } from './check-meaning.js';
import type { Config } from './config.js';
import { reportIssue } from './explain-issue.js';
import { ConfigError, type Mistake } from './mistakes.js';
import { configSchema, type WrittenConfig } from './schema.js';
import { ConfigSource, type Path } from './source.js';

export interface LoadedConfig {
  readonly config: Config;
  /** What is accepted but will not do what it seems to say. */
  readonly warnings: readonly Mistake[];
}

type Env = Readonly<Record<string, string | undefined>>;

/** Reads a configuration file. Throws ConfigError with every mistake found. */
export function loadConfig(path: string, env: Env = process.env): LoadedConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const message = isMissing ? 'there is no such file' : `cannot be read: ${(error as Error).message}`;
    const remedy = isMissing
      ? 'the path of your configuration after -c; config/ringferry.example.yaml is one to start from'
      : undefined;
    throw new ConfigError(path, [{ line: 1, column: 1, path: '', message, remedy }]);
  }
  return parseConfig(text, path, env);
}

/** As `loadConfig`, for text that was read already; `path` is for messages and for relative file names. */
export function parseConfig(text: string, path: string, env: Env = process.env): LoadedConfig {
  const source = new ConfigSource(text, env);
  if (!source.isReadable) throw new ConfigError(path, source.mistakes);
  const written = parseShape(source);
  const folder = dirname(resolve(path));
  const warnings: Mistake[] = [];
  checkMeaning(written ?? source.value(), source, folder, warnings);
  if (written === undefined || source.mistakes.length > 0)
    throw new ConfigError(path, sortMistakes(source.mistakes));
  return { config: buildConfig(written, path, folder), warnings: sortMistakes(warnings) };
}

function parseShape(source: ConfigSource): WrittenConfig | undefined {
  let result = configSchema.safeParse(source.value());
  const wanted =
    result.error?.issues.filter((issue) => issue.code === 'invalid_type' || issue.code === 'invalid_union') ??
    [];
  // Every retype is tried (no `some`), then the file is read once more.
  if (wanted.map((issue) => source.retype(issue.path as Path)).includes(true))
    result = configSchema.safeParse(source.value());
  for (const issue of result.error?.issues ?? []) reportIssue(source, issue);
  return result.data;
}

function sortMistakes(mistakes: readonly Mistake[]): Mistake[] {
  return [...mistakes].sort((a, b) => a.line - b.line || a.column - b.column);
}
