import type { z } from 'zod';
import { didYouMean } from './mistakes.js';
import { isSecret, listSettings, namesAt } from './settings.js';
import type { ConfigSource, Path } from './source.js';

/** Turns what the schema found into a mistake that says what to write. */
export function reportIssue(source: ConfigSource, issue: z.core.$ZodIssue): void {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') {
    const known = namesAt(path);
    for (const key of issue.keys) {
      const meant = didYouMean(key, known);
      const remedy = meant ?? `one of ${known.join(', ')}`;
      source.report(
        [...path, key],
        meant === undefined ? 'is not a setting' : `is not a setting; did you mean ${meant}?`,
        remedy,
        'key',
      );
    }
    return;
  }
  const { message, remedy } = explainIssue(source, issue, path);
  source.report(path, message, remedy);
}

interface Explained {
  readonly message: string;
  readonly remedy: string | undefined;
}

function explainIssue(source: ConfigSource, issue: z.core.$ZodIssue, path: Path): Explained {
  const value = valueAt(source.value(), path);
  const remedy = exampleFor(path);
  if (value === undefined) return { message: 'is missing', remedy };
  if (value === null) return { message: 'is empty', remedy };
  const isHidden = isSecret(String(path.at(-1)));
  const shown = isHidden ? 'this' : showValue(value);
  switch (issue.code) {
    case 'invalid_value':
      return { message: `${shown} is not known here`, remedy: oneOf(issue.values, String(value)) };
    case 'invalid_union':
      if ('options' in issue)
        return {
          message: `${shown} is not known here`,
          remedy: oneOf(issue.options as string[], String(value)),
        };
      return { message: `${shown} is not allowed here`, remedy };
    case 'too_small':
      return {
        message: typeof value === 'number' ? `${shown} is too small` : 'is empty',
        remedy: remedy ?? `at least ${issue.minimum}`,
      };
    case 'too_big':
      return { message: `${shown} is too big`, remedy: `at most ${issue.maximum}` };
    case 'invalid_type': {
      const isUnquoted = issue.expected === 'string' && typeof value !== 'object';
      const quoted = isHidden ? 'it in quotes' : `"${value}" (in quotes)`;
      return {
        message: `${shown} is not ${EXPECTED_WORDS[issue.expected] ?? issue.expected}`,
        remedy: isUnquoted ? quoted : remedy,
      };
    }
    default:
      return { message: issue.message, remedy };
  }
}

function showValue(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a map' : JSON.stringify(value);
}

const EXPECTED_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'a map of settings',
  record: 'a map of names',
  array: 'a list',
};

function oneOf(values: readonly unknown[], wrong: string): string {
  const words = values.map(String);
  return didYouMean(wrong, words) ?? words.join(' or ');
}

/** What to write at a path; `*` stands for any name or index. */
const EXAMPLES: Readonly<Record<string, string>> = {
  'listen.postgres': 'postgres: 127.0.0.1:6432',
  'listen.admin': 'admin: 127.0.0.1:6433 (or false)',
  'listen.http': 'http: 127.0.0.1:9432 (or false)',
  workers: 'workers: 1',
  store: 'store: { kind: file, path: ./ringferry-state }',
  'store.kind': 'kind: file',
  'store.path': 'path: ./ringferry-state',
  users: 'users: [ { name: app, password: "${APP_PASSWORD}" } ]',
  'users.*': '{ name: app, password: "${APP_PASSWORD}" }',
  'users.*.name': 'name: app',
  databases: 'databases: { shop: { shards: { a: { url: postgres://app@127.0.0.1:5432/shop } } } }',
  'databases.*': 'shop: { shards: { a: { url: postgres://app@127.0.0.1:5432/shop } } }',
  'databases.*.shards': 'shards: { a: { url: postgres://app@127.0.0.1:5432/shop } }',
  'databases.*.shards.*': 'a: { url: postgres://app@127.0.0.1:5432/shop }',
  'databases.*.shards.*.url': 'url: postgres://app@127.0.0.1:5432/shop',
  'databases.*.tables.*': 'orders: { key: customer_id }, or { reference: true }',
  'databases.*.tables.*.reference': 'reference: true, or leave the table out: it then lives on home',
};

function exampleFor(path: Path): string | undefined {
  const example = Object.entries(EXAMPLES).find(([pattern]) => matches(pattern, path))?.[1];
  if (example !== undefined) return example;
  const fallback = listSettings().find((setting) =>
    matches(setting.path.replaceAll('[]', '.*'), path),
  )?.default;
  return fallback === undefined ? undefined : `${path.at(-1)}: ${fallback}`;
}

function matches(pattern: string, path: Path): boolean {
  const parts = pattern.split('.');
  return (
    parts.length === path.length && parts.every((part, index) => part === '*' || part === String(path[index]))
  );
}

function valueAt(value: unknown, path: Path): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Record<string | number, unknown>)[part];
  }
  return current;
}
