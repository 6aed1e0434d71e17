import type { Backend } from '../pool/backend.js';
import type { SessionEffect } from '../routing/plan.js';
import type { Dialect } from './dialect.js';
import type { ClientIdentity } from './frontend.js';

/** A backend whose settings are not known for certain begins with it; it is brought up to date before its next use. */
const UNCERTAIN = '\0uncertain';
const NOTHING: readonly string[] = [];
/** Stands between settings, and between a setting's name and its statement. */
const NEXT = '\u0001';
const IS = '\u0002';

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
  replay(backend: Backend): readonly string[] {
    if (backend.settings === this.#text) return NOTHING;
    const reset = resetOf(this.#dialect, backend);
    backend.settings = this.#text;
    const statements = [...this.#current.values()].map(({ sql }) => sql);
    return [...reset, ...statements];
  }

  /** Equal for sessions whose backends are interchangeable. */
  get text(): string {
    return this.#text;
  }

  /** A replay failed in the middle. */
  invalidate(backend: Backend): void {
    doubt(backend, this.#text);
  }

  /** Notes a SET or RESET that succeeded on `backends`. */
  note(effect: SessionEffect, sql: string, backends: Iterable<Backend>, isInTransaction: boolean): void {
    if (effect.type === 'pin' || effect.type === 'kill' || effect.type === 'autocommit') return;
    if (effect.type === 'set' && effect.local) return;
    const isProvisional = isInTransaction && this.#dialect.manners.settingsRollBack;
    if (isProvisional) this.#beforeTransaction ??= new Map(this.#current);
    if (effect.type === 'discard-all') this.#current = new Map(this.#atStart);
    else if (effect.type === 'set') {
      this.#current.delete(effect.name);
      this.#current.set(effect.name, { sql, values: effect.values });
    } else if (effect.name === undefined) this.#current = new Map(this.#atStart);
    else this.#restore(effect.name);
    this.#text = textOf(this.#current);
    const isExact = !isProvisional && effect.type === 'set';
    for (const backend of backends) {
      if (isExact) backend.settings = this.#text;
      else doubt(backend, this.#text);
    }
  }

  /** Where unqualified names are looked up, when the client has changed it. */
  get searchPath(): readonly string[] | undefined {
    if (this.#current.size === 0) return undefined;
    return this.#current.get('search_path')?.values;
  }

  /** SET ringferry.shard or ringferry.key: routing said by hand for the statements that follow. */
  get hint(): { readonly shard?: string; readonly key?: string } | undefined {
    if (this.#current.size === 0) return undefined;
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
    for (const backend of backends) doubt(backend, this.#text);
  }

  #restore(name: string): void {
    const first = this.#atStart.get(name);
    if (first === undefined) this.#current.delete(name);
    else this.#current.set(name, first);
  }
}

/** What must be said first to a backend on which something is set. */
export function resetOf(dialect: Dialect, backend: Backend): string[] {
  if (backend.settings === '') return [];
  return [dialect.resetSettings([...namesIn(backend.settings)], backend.parameters.get('version') ?? '')];
}

function textOf(settings: ReadonlyMap<string, Setting>): string {
  return [...settings].map(([name, { sql }]) => `${name}${IS}${sql}`).join(NEXT);
}

/** The statements in the `settings` of a backend, by the names that they set. */
export function settingsOf(text: string): ReadonlyMap<string, string> {
  const said = text.split(NEXT).map((setting) => setting.split(IS));
  return new Map(said.map(([name = '', sql = '']) => [name, sql]));
}

function namesIn(text: string): Set<string> {
  const names = text.split(NEXT).map((setting) => setting.split(IS)[0]!);
  return new Set(names.filter((name) => name !== '' && name !== UNCERTAIN));
}

/** Any of what it had and of `text` may be set on it. */
function doubt(backend: Backend, text: string): void {
  backend.settings = [UNCERTAIN, ...namesIn(`${backend.settings}${NEXT}${text}`)].join(NEXT);
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
