import { formatAddress, redactUrl } from './address.js';
import type { Config } from './config.js';
import { isSecret, listSettings, type Setting } from './settings.js';

/** One setting as it runs now; passwords are never shown. */
export interface RunningSetting {
  readonly key: string;
  readonly value: string;
  readonly default: string | null;
  readonly isReloadable: boolean;
}

/** The running configuration as rows, in the spelling of the file. */
export function runningSettings(config: Config): RunningSetting[] {
  return flatten(config).map(({ key, value, setting }) => ({
    key,
    value: showValue(key, value),
    default: showDefault(setting),
    isReloadable: setting.isReloadable,
  }));
}

/** Settings that differ between the two and that only a restart changes, by their keys in the file. */
export function settingsWaitingForRestart(current: Config, next: Config): string[] {
  const before = new Map(flatten(current).map((entry) => [entry.key, entry]));
  const after = new Map(flatten(next).map((entry) => [entry.key, entry]));
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
    (key) => JSON.stringify(before.get(key)?.value) !== JSON.stringify(after.get(key)?.value),
  );
  return changed.filter((key) => (after.get(key) ?? before.get(key))?.setting.isReloadable === false);
}

interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly setting: Setting;
}

function flatten(config: Config): Entry[] {
  const known = new Map(listSettings().map((setting) => [setting.path, setting]));
  const { path: _, ...rest } = config;
  const entries: Entry[] = [];
  collect(rest, '', '', entries, known);
  return entries;
}

function collect(
  value: unknown,
  key: string,
  path: string,
  entries: Entry[],
  known: ReadonlyMap<string, Setting>,
): void {
  const setting = known.get(path);
  if (setting !== undefined) {
    entries.push({ key, value, setting });
  } else if (Array.isArray(value)) {
    for (const [index, entry] of value.entries())
      collect(entry, `${key}[${index}]`, `${path}[]`, entries, known);
  } else if (typeof value === 'object' && value !== null) {
    // Names that people chose stay as they are; names of settings are written as in the file.
    const isFree = [...known.keys()].some((candidate) =>
      candidate.startsWith(path === '' ? '*' : `${path}.*`),
    );
    const dot = path === '' ? '' : '.';
    for (const [name, entry] of Object.entries(value)) {
      const written = isFree ? name : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      collect(entry, `${key}${dot}${written}`, `${path}${dot}${isFree ? '*' : written}`, entries, known);
    }
  }
}

function showValue(key: string, value: unknown): string {
  if (value === undefined) return key.startsWith('listen.') ? 'false' : '';
  if (isSecret(key.split('.').at(-1) ?? '')) return '***';
  if (typeof value === 'object' && value !== null && 'port' in value)
    return formatAddress(value as { host: string; port: number });
  if (typeof value === 'string') return redactUrl(value);
  return Array.isArray(value) ? value.map((entry) => redactUrl(String(entry))).join(', ') : String(value);
}

function showDefault(setting: Setting): string | null {
  if (setting.default === undefined) return null;
  return typeof setting.default === 'string' ? setting.default : JSON.stringify(setting.default);
}
