import { OperatingError } from '../lib/errors.js';
import { type Keyspace, placedTables, tableKey } from '../topology/keyspace.js';
import { type DatabaseSchema, OBJECT_KINDS, type SchemaObject } from './schema-object.js';

/** What is to be there on every shard, in an order in which it can be made. */
export interface SchemaPlan {
  readonly objects: readonly SchemaObject[];
  /** Ids of those without which the tables would not be the same. */
  readonly required: ReadonlySet<string>;
  /** What is left out, and why. */
  readonly leftOut: readonly { readonly id: string; readonly reason: string }[];
}

/**
 * Chooses from the model's schema what belongs on every shard: the sharded and reference tables with all their parts, and
 * everything else that does not need what is at home only. Throws when a table cannot be made as it is.
 */
export function planSchema(schema: DatabaseSchema, keyspace: Keyspace, model: string): SchemaPlan {
  const tables = new Set(placedTables(keyspace).map(tableKey));
  const byId = new Map(schema.objects.map((object) => [object.id, object]));
  for (const table of tables) {
    if (!byId.has(`table ${table}`))
      throw new OperatingError('migration', `shard ${model} has no table ${table}`, {
        hint: 'create it, or take it out of the configuration',
      });
  }
  const excluded = excludedObjects(schema, tables);
  const included = (object: SchemaObject): boolean => !excluded.has(object.id);
  refuseBrokenTables(
    schema.objects.filter((object) => isPartOf(object, tables) && object.kind !== 'foreign-key'),
    excluded,
  );
  const roots = schema.objects.filter((object) => included(object) && isPartOf(object, tables));
  const required = closure(
    roots.map((object) => object.id),
    schema.needs,
  );
  const wanted = schema.objects.filter(
    (object) => included(object) && (required.has(object.id) || isWorthCopying(object)),
  );
  const leftOut = [...excluded]
    .filter(([id]) => !id.startsWith('table ') && !isPartOfHome(byId.get(id), tables))
    .map(([id, reason]) => ({ id, reason }));
  return { objects: inOrder(wanted, schema.needs, byId, excluded), required, leftOut };
}

/** A table itself, or something on it. */
function isPartOf(object: SchemaObject, tables: ReadonlySet<string>): boolean {
  return object.kind === 'table'
    ? tables.has(object.id.slice('table '.length))
    : object.partOf !== undefined && tables.has(object.partOf);
}

function isPartOfHome(object: SchemaObject | undefined, tables: ReadonlySet<string>): boolean {
  return object?.partOf !== undefined && !tables.has(object.partOf);
}

/** Extensions and schemas come only where something needs them. */
function isWorthCopying(object: SchemaObject): boolean {
  return object.kind !== 'extension' && object.kind !== 'schema' && object.kind !== 'other';
}

/** Id → why it is not copied: itself, or something that it needs. */
function excludedObjects(schema: DatabaseSchema, tables: ReadonlySet<string>): Map<string, string> {
  const excluded = new Map<string, string>();
  for (const object of schema.objects) {
    if (object.kind === 'table' && !tables.has(object.id.slice('table '.length)))
      excluded.set(object.id, 'it is neither sharded nor a reference table');
    else if (object.unsupported !== undefined) excluded.set(object.id, object.unsupported);
  }
  for (let before = -1; before !== excluded.size; ) {
    before = excluded.size;
    for (const object of schema.objects) {
      if (excluded.has(object.id)) continue;
      const missing = [...(schema.needs.get(object.id) ?? [])].find((need) => excluded.has(need));
      if (missing !== undefined) excluded.set(object.id, `it needs ${missing}: ${excluded.get(missing)}`);
    }
  }
  excludeSequencesOfHome(schema, excluded);
  return excluded;
}

/** The sequence of a home table's serial column belongs at home, unless something else draws from it. */
function excludeSequencesOfHome(schema: DatabaseSchema, excluded: Map<string, string>): void {
  for (const object of schema.objects) {
    if (object.kind !== 'owned-sequence' || !excluded.has(object.id)) continue;
    const sequence = [...(schema.needs.get(object.id) ?? [])].find((need) => need.startsWith('sequence '))!;
    const isUsed = schema.objects.some(
      (other) =>
        other.kind !== 'owned-sequence' &&
        !excluded.has(other.id) &&
        schema.needs.get(other.id)?.has(sequence),
    );
    if (!isUsed) excluded.set(sequence, 'its table is at home only');
  }
}

function refuseBrokenTables(parts: readonly SchemaObject[], excluded: ReadonlyMap<string, string>): void {
  const broken = parts.filter((part) => excluded.has(part.id));
  if (broken.length === 0) return;
  throw new OperatingError(
    'unsupported',
    `the schema cannot be copied: ${broken.map((part) => `${part.id}: ${excluded.get(part.id)}`).join('; ')}`,
    {
      hint: 'change or drop it, or create the schema on the new shard yourself',
    },
  );
}

function closure(roots: readonly string[], needs: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const reached = new Set(roots);
  for (const id of reached) for (const need of needs.get(id) ?? []) reached.add(need);
  return reached;
}

/** What is needed comes first; otherwise by kind, so that foreign keys follow all tables, and then by name. */
function inOrder(
  objects: readonly SchemaObject[],
  needs: ReadonlyMap<string, ReadonlySet<string>>,
  byId: ReadonlyMap<string, SchemaObject>,
  excluded: ReadonlyMap<string, string>,
): SchemaObject[] {
  const ordered: SchemaObject[] = [];
  const state = new Map<string, 'begun' | 'done'>();
  const visit = (object: SchemaObject): void => {
    if (state.get(object.id) === 'done') return;
    if (state.get(object.id) === 'begun') {
      throw new OperatingError(
        'unsupported',
        `the schema cannot be copied: ${object.id} needs itself in a circle`,
        { hint: 'create the schema on the new shard yourself' },
      );
    }
    state.set(object.id, 'begun');
    for (const id of [...(needs.get(object.id) ?? [])].sort()) {
      const needed = byId.get(id);
      if (needed !== undefined && !excluded.has(id)) visit(needed);
    }
    state.set(object.id, 'done');
    ordered.push(object);
  };
  const rank = (object: SchemaObject): number => OBJECT_KINDS.indexOf(object.kind);
  for (const object of [...objects].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1)))
    visit(object);
  return ordered;
}
