import { unsupported } from '../lib/errors.js';
import type { SetAssignment } from '../sql/mysql-tree.js';
import { walk } from '../sql/postgres-tree.js';

/** Modes in which a statement's text means something else, or a key is stored as another value. */
const FOREIGN_MODES =
  /\b(ansi|ansi_quotes|no_backslash_escapes|pipes_as_concat|high_not_precedence|oracle|db2|maxdb|mssql|postgresql|mysql323|mysql40|empty_string_is_null)\b/i;

/** Why routing would not be right under a sql_mode; undefined when it would. */
export function foreignMode(value: string): string | undefined {
  return FOREIGN_MODES.exec(value)?.[0]?.toUpperCase();
}

/** Variables under which shards would answer something else than one database, with what to do instead; `undefined`: whatever the value. */
const MISLEADING: Readonly<Record<string, { readonly allowed?: RegExp; readonly hint: string }>> = {
  sql_auto_is_null: { allowed: /^(0|off|false)$/i, hint: 'Use LAST_INSERT_ID().' },
  sql_select_limit: { allowed: /^18446744073709551615$/, hint: 'Use LIMIT.' },
  max_sort_length: { hint: 'ORDER BY LEFT(column, n).' },
  insert_id: { hint: 'Give the column a value in the INSERT.' },
  sql_log_bin: { allowed: /^(1|on|true)$/i, hint: 'Migrations read the binlog: all writes must be in it.' },
  binlog_format: { allowed: /^row$/i, hint: 'Migrations read row events.' },
  binlog_row_image: { allowed: /^full$/i, hint: 'Migrations read full row images.' },
  gtid_domain_id: { hint: 'Migrations follow the server’s own.' },
  gtid_seq_no: { hint: 'Migrations follow the server’s own.' },
  gtid_next: { hint: 'Migrations follow the server’s own.' },
  server_id: { hint: 'Migrations follow the server’s own.' },
};

const CHARSET_VARIABLES = new Set([
  'names',
  'character set',
  'character_set_client',
  'character_set_connection',
]);

/** Throws for settings under which statements would no longer mean what the router reads in them. */
export function refuseMisleadingSettings(assignments: readonly SetAssignment[]): void {
  for (const assignment of assignments) {
    const { scope, text } = assignment;
    const name = assignment.name.toLowerCase();
    if (scope === 'global')
      throw unsupported(
        `SET GLOBAL ${name} on a sharded database`,
        'Set it on each server, or use SET SESSION.',
      );
    if (scope === 'user') continue;
    if (
      name === 'password' ||
      name === 'role' ||
      name === 'default role' ||
      (scope === 'special' && name === 'transaction')
    )
      throw unsupported(
        `SET ${name.toUpperCase()} on a sharded database`,
        name === 'transaction' ? 'Use SET SESSION TRANSACTION ….' : 'Do it on each server.',
      );
    if (name === 'sql_mode') refuseForeignMode(assignment);
    if (CHARSET_VARIABLES.has(name)) refuseForeignCharset(text);
    const rule = MISLEADING[name];
    if (rule === undefined || assignment.value === undefined) continue;
    if (rule.allowed?.test(text.trim().replace(/^(['"])(.*)\1$/, '$2')) === true) continue;
    throw unsupported(`SET ${name} = ${text} on a sharded database`, rule.hint);
  }
}

function refuseForeignMode({ value }: SetAssignment): void {
  walk([value], (kind, node) => {
    const text = kind === 'A_Const' ? (node['sval'] as { sval?: string } | undefined)?.sval : undefined;
    const mode = text === undefined ? undefined : foreignMode(text);
    if (mode !== undefined)
      throw unsupported(`sql_mode ${mode} on a sharded database`, 'Leave it out of sql_mode.');
    return undefined;
  });
}

/** Statements are read as UTF-8; shard keys are hashed in it. */
function refuseForeignCharset(text: string): void {
  const name = /^[=\s]*['"]?(\w+)/.exec(text)?.[1]?.toLowerCase() ?? 'default';
  if (['utf8', 'utf8mb3', 'utf8mb4', 'ascii', 'binary', 'default', 'null'].includes(name)) return;
  throw unsupported(
    `the character set ${name} on a sharded database`,
    'Use utf8mb4: shard keys are hashed in it.',
  );
}
