/** What of the session's sql_mode (manual, "Server SQL Modes") changes how a text is read. */
export interface SqlMode {
  /** `"x"` is a name. */
  readonly ansiQuotes: boolean;
  /** A backslash is an ordinary character. */
  readonly noBackslashEscapes: boolean;
  /** `||` joins strings; otherwise it is OR. */
  readonly pipesAsConcat: boolean;
  /** NOT binds as strongly as `!`. */
  readonly highNotPrecedence: boolean;
  /** A function's name may stand apart from its parenthesis. */
  readonly ignoreSpace: boolean;
}

export const DEFAULT_MODE: SqlMode = Object.freeze({
  ansiQuotes: false,
  noBackslashEscapes: false,
  pipesAsConcat: false,
  highNotPrecedence: false,
  ignoreSpace: false,
});

/** Modes that stand for several others. ORACLE has a grammar of its own too, which nothing here reads. */
const COMBINED = new Set(['ANSI', 'DB2', 'MAXDB', 'MSSQL', 'ORACLE', 'POSTGRESQL']);

/** The mode in the value of `sql_mode`: names with commas between them. */
export function sqlModeOf(value: string): SqlMode {
  const names = new Set(
    value
      .toUpperCase()
      .split(',')
      .map((name) => name.trim()),
  );
  const isCombined = [...names].some((name) => COMBINED.has(name));
  return {
    ansiQuotes: isCombined || names.has('ANSI_QUOTES'),
    noBackslashEscapes: names.has('NO_BACKSLASH_ESCAPES'),
    pipesAsConcat: isCombined || names.has('PIPES_AS_CONCAT'),
    highNotPrecedence: names.has('HIGH_NOT_PRECEDENCE') || names.has('MYSQL40') || names.has('MYSQL323'),
    ignoreSpace: isCombined || names.has('IGNORE_SPACE'),
  };
}

/** Short text that differs for modes that read differently; empty for the default. */
export function modeKey(mode: SqlMode): string {
  if (mode === DEFAULT_MODE) return '';
  const flags =
    (mode.ansiQuotes ? 'q' : '') +
    (mode.noBackslashEscapes ? 'b' : '') +
    (mode.pipesAsConcat ? 'p' : '') +
    (mode.highNotPrecedence ? 'n' : '') +
    (mode.ignoreSpace ? 's' : '');
  return flags;
}
