import type { WarningWords } from '../proxy/dialect.js';
import type { ClientIdentity } from '../proxy/frontend.js';
import { settingsOf } from '../proxy/settings.js';
import { characterSetOf, collationIdOf, UTF8MB4_GENERAL_CI } from './capabilities.js';
import { errOf } from './error-codes.js';
import { flavorOf } from './flavor.js';
import { keepsMessages } from './session-state.js';
import { decodeTag } from './tag.js';

/** What our own connections begin with (the handshake's collation). By its number: by name, results would have the set's default, which is another in MySQL 8. */
const OUR_VARIABLES = ['character_set_client', 'character_set_results', 'collation_connection'].map(
  (name) => `${name} = ${UTF8MB4_GENERAL_CI}`,
);
/** Settings that are no variable of their own; all of them are about character sets. */
const CHARACTER_SETS = new Set(['names', 'character set', 'collation_id']);
/** Settings that change character_set_results. */
const RESULT_SETS = new Set(['names', 'character set', 'character_set_results']);
const COLLATION = 'collation_connection = ';

/** Brings the session variables that clients have changed back to the server's own defaults, which a fresh connection has. */
export function resetSettings(names: readonly string[], version: string): string {
  // Several set by one statement are one name with commas; hints for routing are no variables of the server's.
  const said = names.flatMap((name) => name.split(',')).map((name) => variableOf(name, version));
  const variables = [...new Set(said)].filter(
    (name) => !CHARACTER_SETS.has(name) && !name.startsWith('ringferry.'),
  );
  const defaults = variables.map((name) => `SESSION ${name} = DEFAULT`);
  // Last, because a default may be of another character set.
  return `SET ${[...defaults, ...OUR_VARIABLES].join(', ')}`;
}

/** What the server calls the setting. */
function variableOf(name: string, version: string): string {
  if (name === 'ignore_space') return 'sql_mode';
  if (name === 'tx_isolation') return flavorOf(version).names.isolation;
  return name === 'tx_read_only' ? flavorOf(version).names.readOnly : name;
}

/** Collations up to here are of MySQL 5.5 and MariaDB 5.5, but for gb18030. */
const LAST_OLD_COLLATION = 247;

/** The handshake's collation and its flag IGNORE_SPACE as statements: clients who come with others share the connections. */
export function startupSetting(name: string, value: string): string | undefined {
  if (name === 'ignore_space')
    return value === '1' ? "SET sql_mode = concat_ws(',', 'IGNORE_SPACE', @@sql_mode)" : undefined;
  if (name !== 'collation_id') return undefined;
  const id = Number(value);
  const set = characterSetOf(id);
  if (set === undefined || id === UTF8MB4_GENERAL_CI) return undefined;
  const known = `(SELECT ID FROM information_schema.COLLATIONS WHERE ID = ${id})`;
  // MySQL takes a signed number only.
  const collation =
    id <= LAST_OLD_COLLATION ? id : `CAST(coalesce(${known}, ${collationIdOf(set)}) AS SIGNED)`;
  return `SET character_set_client = ${set}, character_set_results = ${set}, ${COLLATION}${collation}`;
}

/**
 * The collation that a client has logged in with and that column definitions name on a direct connection; undefined where it is what our
 * connections have, or the client has said another since. character_set_results can be set to the default collation of a set only.
 */
export function loginCollationOf(settings: string): number | undefined {
  if (!settings.includes(COLLATION)) return undefined;
  const said = settingsOf(settings);
  const names = [...said.keys()].flatMap((name) => name.split(','));
  if (names.some((name) => RESULT_SETS.has(name))) return undefined;
  const id = said.get('collation_id')?.split(COLLATION)[1] ?? '';
  return /^\d+$/.test(id) ? Number(id) : undefined;
}

/** SHOW WARNINGS (MariaDB manual), asked right after the statement. */
export const warnings: WarningWords = {
  sql: 'SHOW WARNINGS',
  isDue: (tag) => decodeTag(tag).warnings > 0,
  ofError: ({ errno = 0, message }) => ['Error', String(errno), message],
  ofRefusal: (error) => {
    const { errno, message } = errOf(error);
    return ['Error', String(errno), message];
  },
  staysBehind: keepsMessages,
};

/** `SET NAMES` of another set is refused where statements are routed; the handshake's is not, since many clients say latin1 and mean ASCII. */
export function writesUtf8({ startup }: Pick<ClientIdentity, 'startup'>): boolean {
  const id = startup.get('collation_id');
  return id === undefined || /^(utf8|ascii|binary)/.test(characterSetOf(Number(id)) ?? '');
}
