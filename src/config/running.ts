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
  const known = new Map(listSettings().map((setting) => [setting.path, setting]));
  const { path: _, ...rest } = config;
  const rows: RunningSetting[] = [];
  flatten(rest, '', '', rows, known);
  return rows;
}

function flatten(
  value: unknown,
  key: string,
  path: string,
  rows: RunningSetting[],
  known: ReadonlyMap<string, Setting>,
): void {
  const setting = known.get(path);
  if (setting !== undefined) {
    rows.push({
      key,
      value: showValue(key, value),
      default: showDefault(setting),
      isReloadable: setting.isReloadable,
    });
  } else if (Array.isArray(value)) {
    for (const [index, entry] of value.entries())
      flatten(entry, `${key}[${index}]`, `${path}[]`, rows, known);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, entry] of Object.entries(value)) {
      // Names that people chose stay as they are; names of settings are written as in the file.
      const isFree = [...known.keys()].some((candidate) =>
        candidate.startsWith(path === '' ? '*' : `${path}.*`),
      );
      const written = isFree ? name : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const dot = path === '' ? '' : '.';
      flatten(entry, `${key}${dot}${written}`, `${path}${dot}${isFree ? '*' : written}`, rows, known);
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
