import type { BackendTarget, ServerError } from '../pool/backend.js';
import type { PreparedStatement } from '../pool/request.js';
import { decodeReport } from './backend-messages.js';

/** Reported settings that change what the same SQL text means when it is parsed (literals of dates, times, strings; encoding). */
const MEANINGFUL = [
  'client_encoding',
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'standard_conforming_strings',
];
const DEFAULT_PREPARED_STATEMENTS = 500;
const MAX_MEANINGS = 1000;
/** Tags of DDL that may change what a statement's text means. */
const CHANGES_SCHEMA = /^(ALTER|DROP|CREATE) /;

/**
 * Which prepared statements exist on one backend, under the process-wide names `rf_<id>`. A text that was parsed under
 * other settings is another statement: its name then carries the number of those settings.
 */
export class ServerStatements {
  /** What the unnamed statement is now, as `unnamedOf` says it; undefined when not known. */
  unnamed: string | undefined;
  parsesTotal = 0;
  readonly #max: number;
  readonly #onSchemaChange: (() => void) | undefined;
  /** The transaction that runs has changed the schema. */
  #hasDdl = false;
  /** In the order of use, the longest unused first. */
  readonly #names = new Set<string>();
  /** Names under the settings at connect, by the statements' numbers: made once and not for each execution. */
  readonly #usual = new Map<number, string>();
  readonly #dropped: string[] = [];
  readonly #meanings = new Map<string, number>();
  #lastMeaning = 0;
  #meaning = 0;
  #settings = '';
  /** The server has reported settings that have not been looked at. */
  hasReported = false;
  /** Statements may exist that are not listed here: Close before Parse. */
  isDistrusted = false;

  constructor(
    target: Pick<BackendTarget, 'preparedStatements' | 'onSchemaChange'>,
    parameters: ReadonlyMap<string, string>,
  ) {
    this.#max = target.preparedStatements ?? DEFAULT_PREPARED_STATEMENTS;
    this.#onSchemaChange = target.onSchemaChange;
    this.#settings = settingsOf(parameters);
    this.#meanings.set(this.#settings, 0);
  }

  nameOf({ id }: PreparedStatement): string {
    if (this.#meaning !== 0) return `rf_${id}_${this.#meaning}`;
    let name = this.#usual.get(id);
    if (name === undefined) {
      name = `rf_${id}`;
      if (this.#usual.size > this.#max) this.#usual.clear();
      this.#usual.set(id, name);
    }
    return name;
  }

  /** What `unnamed` is when the unnamed statement is this one. */
  unnamedOf(prepared: PreparedStatement): string {
    return `unnamed ${this.nameOf(prepared)}`;
  }

  lacks(prepared: PreparedStatement): boolean {
    return !this.#names.has(this.nameOf(prepared));
  }

  /** It is on the server, and must be made anew before it is used. */
  drop(name: string): void {
    this.forget(name);
    this.#dropped.push(name);
  }

  /** Is it there? Counts as use. */
  has(name: string): boolean {
    if (!this.#names.has(name)) return false;
    // While there is much room, nobody asks for the order.
    if (this.#names.size * 2 > this.#max) {
      this.#names.delete(name);
      this.#names.add(name);
    }
    return true;
  }

  get size(): number {
    return this.#names.size;
  }

  add(name: string): void {
    this.parsesTotal++;
    this.#names.add(name);
  }

  forget(name: string): void {
    this.#names.delete(name);
    if (this.unnamed === name) this.unnamed = undefined;
  }

  /** The server has dropped them all. */
  clear(): void {
    this.#names.clear();
    this.unnamed = undefined;
    this.isDistrusted = false;
  }

  /** Some of them are gone or stale, and it is not known which. */
  distrust(): void {
    this.#names.clear();
    this.unnamed = undefined;
    this.isDistrusted = true;
  }

  /** What was dropped, and the longest unused ones that are too many; the caller closes them on the server. */
  takeSurplus(): readonly string[] {
    if (this.#dropped.length === 0 && this.#names.size <= this.#max) return [];
    const surplus = this.#dropped.splice(0);
    for (const name of this.#names) {
      if (this.#names.size <= this.#max) break;
      this.#names.delete(name);
      surplus.push(name);
    }
    return surplus;
  }

  /** A command with this tag has run. */
  completed(tag: string): void {
    if (tag === 'DISCARD ALL' || tag === 'DEALLOCATE ALL') this.clear();
    else if (tag === 'DEALLOCATE') this.distrust();
    else if (CHANGES_SCHEMA.test(tag)) this.#hasDdl = true;
  }

  /** What it did to the schema is there for all now. */
  transactionEnded(): void {
    if (!this.#hasDdl) return;
    this.#hasDdl = false;
    this.#onSchemaChange?.();
  }

  /** The server reported an error. */
  refused(error: ServerError): void {
    // A statement of ours is gone.
    if (error.sqlstate === '26000') this.distrust();
    if (isStalePlan(error)) this.#onSchemaChange?.();
  }

  /**
   * To be called when an exchange has ended. What was parsed while settings changed may mean what it would have meant before or after:
   * it is parsed anew at its next use.
   */
  noteSettings(parameters: ReadonlyMap<string, string>, hasParsed: boolean): void {
    if (!this.hasReported) return;
    this.hasReported = false;
    if (this.#settingsReported(parameters) && hasParsed) this.distrust();
  }

  /** Returns true when texts mean something else from now on. */
  #settingsReported(parameters: ReadonlyMap<string, string>): boolean {
    const settings = settingsOf(parameters);
    if (settings === this.#settings) return false;
    this.#settings = settings;
    if (this.#meanings.size >= MAX_MEANINGS) this.#meanings.clear();
    let meaning = this.#meanings.get(settings);
    if (meaning === undefined) {
      meaning = ++this.#lastMeaning;
      this.#meanings.set(settings, meaning);
    }
    this.#meaning = meaning;
    return true;
  }

  /** Settings are being changed in the same write, so what they will be is not known: a number of its own until they are reported. */
  settingsUncertain(): void {
    this.#meaning = ++this.#lastMeaning;
    this.#settings = '';
    this.hasReported = true;
  }
}

function settingsOf(parameters: ReadonlyMap<string, string>): string {
  return MEANINGFUL.map((name) => parameters.get(name) ?? '').join('\0');
}

/** Its tables have changed so that the server will not run a statement any more: whoever prepared it must do so again. */
function isStalePlan(error: ServerError): boolean {
  return error.sqlstate === '0A000' && decodeReport(error.frame).get('R') === 'RevalidateCachedQuery';
}
