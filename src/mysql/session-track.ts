import { Writer } from './wire.js';

/** A session variable, or (`schema`) the default database, as a statement has set it. */
export type StateChange = { readonly name: string; readonly value: string } | { readonly schema: string };

/** Types of entries (MySQL internals, "OK_Packet", session state information). */
const SYSTEM_VARIABLES = 0;
const SCHEMA = 1;

const NAME = '[`\'"]?([A-Za-z0-9_]+)[`\'"]?';
const SET_NAMES = new RegExp(`^set\\s+names\\s+${NAME}(?:\\s+collate\\s+${NAME})?$`, 'i');
const SET_CHARACTER_SET = new RegExp(`^set\\s+(?:character\\s+set|charset)\\s+${NAME}$`, 'i');
const USE = /^use\s+(?:`((?:[^`]|``)+)`|([^\s`;]+))$/i;

/** What one statement changes in the session when it succeeds, of what clients listen to: character sets, by which they write, and the default database. */
export function stateChangesOf(sql: string): readonly StateChange[] {
  // Longer texts are none of these.
  if (sql.length > 200) return [];
  const text = sql.trim().replace(/\s*;$/, '');
  const use = USE.exec(text);
  if (use !== null) return [{ schema: use[1]?.replaceAll('``', '`') ?? use[2]! }];
  const set = (SET_NAMES.exec(text) ?? SET_CHARACTER_SET.exec(text))?.[1]?.toLowerCase();
  if (set === undefined || set === 'default') return [];
  const value = set === 'utf8' ? 'utf8mb3' : set;
  const names = ['character_set_client', 'character_set_results'];
  if (SET_NAMES.test(text)) names.push('character_set_connection');
  return names.map((name) => ({ name, value }));
}

/** Each entry: `type: 1, lenenc (lenenc name, lenenc value | lenenc schema)`. */
export function encodeStateChanges(changes: readonly StateChange[]): Buffer {
  const writer = new Writer();
  for (const change of changes) {
    const isSchema = 'schema' in change;
    const entry = new Writer();
    if (isSchema) entry.lenencText(change.schema);
    else entry.lenencText(change.name).lenencText(change.value);
    writer.int1(isSchema ? SCHEMA : SYSTEM_VARIABLES).lenencBytes(entry.finish());
  }
  return writer.finish();
}
