import { jsonSchema } from './schema.js';

/** One row of the table of settings, read off the schema. `*` in the path stands for a name, `[]` for an entry of a list. */
export interface Setting {
  readonly path: string;
  /** For people: `text`, `whole number`, `session or transaction` … */
  readonly type: string;
  readonly isRequired: boolean;
  readonly default: unknown;
  readonly isReloadable: boolean;
  readonly doc: string;
}

const SECRETS: ReadonlySet<string> = new Set(['password', 'scram', 'backend_password']);

/** The value of a setting of this name must never be shown. */
export function isSecret(name: string): boolean {
  return SECRETS.has(name);
}

/** A part of the JSON Schema that `jsonSchema()` makes. */
interface SchemaPart {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly SchemaPart[];
  readonly oneOf?: readonly SchemaPart[];
  readonly properties?: Readonly<Record<string, SchemaPart>>;
  readonly additionalProperties?: SchemaPart | false;
  readonly items?: SchemaPart;
  readonly required?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
  readonly reloadable?: boolean;
}

/** Every setting, in the order of the schema. */
export function listSettings(): Setting[] {
  const settings = new Map<string, Setting>();
  collect(jsonSchema() as SchemaPart, '', false, settings);
  return [...settings.values()];
}

/** The settings' names that may stand at a path; empty where names are free. */
export function namesAt(path: readonly (string | number)[]): string[] {
  let parts: SchemaPart[] = [jsonSchema() as SchemaPart];
  for (const step of path) {
    parts = parts.flatMap(alternatives).flatMap((part) => {
      const next = part.properties?.[String(step)] ?? (part.additionalProperties || part.items);
      return next === undefined ? [] : [next];
    });
  }
  return [...new Set(parts.flatMap(alternatives).flatMap((part) => Object.keys(part.properties ?? {})))];
}

function alternatives(part: SchemaPart): readonly SchemaPart[] {
  return part.oneOf ?? part.anyOf ?? [part];
}

function collect(part: SchemaPart, path: string, isRequired: boolean, settings: Map<string, Setting>): void {
  if (part.description !== undefined) {
    if (settings.has(path)) return;
    const facts = {
      isRequired,
      default: part.default,
      isReloadable: part.reloadable === true,
      doc: part.description,
    };
    settings.set(path, { path, type: typeName(part), ...facts });
    return;
  }
  for (const choice of alternatives(part)) {
    const below = path === '' ? '' : `${path}.`;
    for (const [name, child] of Object.entries(choice.properties ?? {})) {
      collect(child, `${below}${name}`, choice.required?.includes(name) === true, settings);
    }
    if (choice.additionalProperties) collect(choice.additionalProperties, `${below}*`, false, settings);
    if (choice.items) collect(choice.items, `${path}[]`, false, settings);
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'whole number',
  boolean: 'true or false',
  array: 'list',
};

function typeName(part: SchemaPart): string {
  if (part.enum !== undefined) return part.enum.join(' or ');
  if (part.const !== undefined) return String(part.const);
  const choices = part.anyOf ?? part.oneOf;
  if (choices !== undefined) return choices.map(typeName).join(' or ');
  if (part.type === 'array' && part.items !== undefined) return `list of ${typeName(part.items)}`;
  return TYPE_NAMES[part.type ?? ''] ?? part.type ?? 'anything';
}
