import { pino } from 'pino';

/**
 * What the rooms write to. Facts first, then one sentence. Never a password, a parameter or a row: whoever logs names
 * things (shard, client number, statement's verb), not contents.
 */
export interface Logger {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
  /** The same log with these facts on every line. */
  child(facts: Record<string, unknown>): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** JSON lines on standard error; standard output belongs to the commands. */
export function createLog(level: LogLevel): Logger {
  const redact = { paths: ['password', '*.password', 'url', '*.url'], censor: '[not shown]' };
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact }, pino.destination(2));
}
