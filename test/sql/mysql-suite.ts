/** Commands of mysqltest itself, which stand between the statements of MariaDB's test files. */
const COMMANDS = new Set(
  (
    'let eval inc dec if while end echo sleep real_sleep connect connection disconnect reap send query query_vertical query_horizontal error source exec ' +
    'system perl append_file write_file cat_file copy_file move_file remove_file remove_files_wildcard diff_files file_exists mkdir rmdir list_files ' +
    'chmod die exit skip require result enable_warnings disable_warnings enable_query_log disable_query_log enable_result_log disable_result_log ' +
    'enable_info disable_info enable_metadata disable_metadata enable_ps_protocol disable_ps_protocol enable_abort_on_error disable_abort_on_error ' +
    'enable_parsing disable_parsing enable_reconnect disable_reconnect replace_result replace_column replace_regex replace_numeric_round sorted_result ' +
    'vertical_results horizontal_results character_set delimiter save_master_pos sync_with_master sync_slave_with_master sync_with_slave dirty_close ping ' +
    'shutdown_server change_user send_eval send_quit output lowercase_result display_session_track_info disable_cursor_protocol enable_cursor_protocol ' +
    'disable_view_protocol enable_view_protocol disable_service_connection enable_service_connection disable_ps2_protocol enable_ps2_protocol evalp ' +
    'enable_non_blocking_api disable_non_blocking_api optimizer_trace enable_prepare_warnings disable_prepare_warnings start_timer end_timer execw'
  ).split(' '),
);

/** The SQL statements in the text of a mysqltest file: without its commands, its comments and what has variables of its own in it. */
export function statementsOfSuite(file: string): string[] {
  const statements: string[] = [];
  let delimiter = ';';
  let pending = '';
  let skipUntil: string | undefined;
  for (const line of file.split('\n')) {
    if (skipUntil !== undefined) {
      if (line.trim() === skipUntil) skipUntil = undefined;
      continue;
    }
    if (pending.trim() === '') {
      const trimmed = line.trim();
      const block = /^(?:--\s*)?(?:perl|write_file|append_file)\b(?:\s+\S+)?\s*(\w*)\s*;?\s*$/.exec(trimmed);
      if (block !== null) {
        skipUntil = block[1] === '' ? 'EOF' : block[1];
        continue;
      }
      const changed = /^(?:--\s*)?delimiter\s+(\S+?)\s*;?$/i.exec(trimmed);
      if (changed !== null) {
        delimiter =
          changed[1]!.length > 1 && changed[1]!.endsWith(delimiter)
            ? changed[1]!.slice(0, -delimiter.length)
            : changed[1]!;
        continue;
      }
      if (
        trimmed === '' ||
        trimmed.startsWith('--') ||
        trimmed.startsWith('#') ||
        trimmed === '}' ||
        trimmed === '{'
      )
        continue;
    }
    pending += `${line}\n`;
    if (!line.includes(delimiter)) continue;
    for (let at = endOf(pending, delimiter); at !== -1; at = endOf(pending, delimiter)) {
      const statement = pending.slice(0, at).trim();
      pending = pending.slice(at + delimiter.length);
      if (pending.trim() === '') pending = '';
      if (isStatement(statement)) statements.push(statement);
    }
  }
  return statements;
}

/** Where the delimiter stands outside of quotes; -1 when it does not. */
function endOf(text: string, delimiter: string): number {
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (quote !== '') {
      if (character === '\\' && quote !== '`') at++;
      else if (character === quote) quote = '';
    } else if (text.startsWith(delimiter, at)) return at;
    else if (character === "'" || character === '"' || character === '`') quote = character;
    else if (character === '#' || (text.startsWith('-- ', at) && at > 0)) {
      const end = text.indexOf('\n', at);
      if (end === -1) return -1;
      at = end;
    }
  }
  return -1;
}

function isStatement(text: string): boolean {
  const first = /^\w+/.exec(text)?.[0]?.toLowerCase();
  if (first === undefined && !text.startsWith('(') && !text.startsWith('/*')) return false;
  return !COMMANDS.has(first ?? '') && !text.includes('$') && text.length < 20_000 && isAscii(text);
}

/** The files are in several character sets, which cannot be told from here. */
function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}
