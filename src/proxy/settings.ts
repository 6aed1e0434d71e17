import type { Backend } from '../pool/backend.js';
import type { SessionEffect } from '../routing/plan.js';
import type { Dialect } from './dialect.js';
import type { ClientIdentity } from './frontend.js';

/** A backend whose settings are not known for certain; it is brought up to date before its next use. */
const UNCERTAIN = '\0uncertain';

interface Setting {
  /** The statement that sets it. */
  readonly sql: string;
  /** Its values as texts, where they are known. */
  readonly values: readonly string[] | undefined;
}

/**
 * What the client has SET, as the statements that say it again on another backend. Inside a transaction changes are
 * provisional: a rollback takes them back, as the server does.
 */
export class SessionSettings {
  readonly #dialect: Dialect;
  readonly #atStart: ReadonlyMap<string, Setting>;
  #current: Map<string, Setting>;
  #beforeTransaction: Map<string, Setting> | undefined;
  #text: string;

  constructor(dialect: Dialect, identity: ClientIdentity) {
    this.#dialect = dialect;
    this.#atStart = startupStatements(dialect, identity);
    this.#current = new Map(this.#atStart);
    this.#text = textOf(this.#current);
  }

  /** Statements to say to a backend before it serves this client; empty when it is up to date. Marks it so. */
  replay(backend: Backend): string[] {
    if (backend.settings === this.#text) return [];
    const isFresh = backend.settings === '';
    backend.settings = this.#text;
    const statements = [...this.#current.values()].map(({ sql }) => sql);
    return isFresh ? statements : [this.#dialect.resetSettings, ...statements];
  }

  /** Equal for sessions whose backends are interchangeable. */
  get text(): string {
    return this.#text;
  }

  /** A replay failed in the middle. */
  invalidate(backend: Backend): void {
    backend.settings = UNCERTAIN;
  }

  /** Notes a SET or RESET that succeeded on `backends`. */
  note(effect: SessionEffect, sql: string, backends: Iterable<Backend>, isInTransaction: boolean): void {
    if (effect.type === 'pin' || (effect.type === 'set' && effect.local)) return;
    if (isInTransaction) this.#beforeTransaction ??= new Map(this.#current);
    if (effect.type === 'discard-all') this.#current = new Map(this.#atStart);
    else if (effect.type === 'set') {
      this.#current.delete(effect.name);
      this.#current.set(effect.name, { sql, values: effect.values });
    } else if (effect.name === undefined) this.#current = new Map(this.#atStart);
    else this.#restore(effect.name);
    this.#text = textOf(this.#current);
    const isExact = !isInTransaction && effect.type === 'set';
    for (const backend of backends) backend.settings = isExact ? this.#text : UNCERTAIN;
  }

  /** Where unqualified names are looked up, when the client has changed it. */
  get searchPath(): readonly string[] | undefined {
    return this.#current.get('search_path')?.values;
  }

  /** SET ringferry.shard or ringferry.key: routing said by hand for the statements that follow. */
  get hint(): { readonly shard?: string; readonly key?: string } | undefined {
    const shard = this.#current.get('ringferry.shard')?.values?.[0];
    const key = this.#current.get('ringferry.key')?.values?.[0];
    if (!shard && !key) return undefined;
    return { ...(shard ? { shard } : {}), ...(key ? { key } : {}) };
  }

  transactionEnded(committed: boolean, backends: Iterable<Backend>): void {
    if (this.#beforeTransaction === undefined) return;
    if (!committed) {
      this.#current = this.#beforeTransaction;
      this.#text = textOf(this.#current);
    }
    this.#beforeTransaction = undefined;
    for (const backend of backends) backend.settings = UNCERTAIN;
  }

  #restore(name: string): void {
    const first = this.#atStart.get(name);
    if (first === undefined) this.#current.delete(name);
    else this.#current.set(name, first);
  }
}

function textOf(settings: ReadonlyMap<string, Setting>): string {
  return [...settings.values()].map(({ sql }) => sql).join(';');
}

function startupStatements(dialect: Dialect, identity: ClientIdentity): Map<string, Setting> {
  const statements = new Map<string, Setting>();
  const note = (name: string, value: string) => {
    const sql = dialect.startupSetting(name, value);
    if (sql !== undefined) statements.set(name.toLowerCase(), { sql, values: valuesOf(value) });
  };
  for (const [name, value] of identity.startup) {
    if (name === 'options')
      for (const [option, setting] of dialect.startupOptions(value)) note(option, setting);
    else note(name, value);
  }
  return statements;
}

/** A startup value may be a list of names, as for search_path. */
function valuesOf(value: string): string[] {
  return value.split(',').map((name) => name.trim().replace(/^"(.*)"$/s, '$1'));
}
