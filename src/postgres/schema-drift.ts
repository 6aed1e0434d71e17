import type { DatabaseSchema, ObjectKind, SchemaObject } from './schema-object.js';
import type { SchemaPlan } from './schema-plan.js';

/** Their definitions are printed anew by each major version; a difference between versions means nothing. */
const PRINTED_BY_VERSION: readonly ObjectKind[] = [
  'view',
  'function',
  'rule',
  'trigger',
  'policy',
  'default',
  'statistics',
  'constraint',
  'index',
];
/** Exist or not. */
const ONLY_BY_NAME: readonly ObjectKind[] = [
  'schema',
  'extension',
  'owned-sequence',
  'identity',
  'statistics',
];
/** More of these on the target would refuse or change rows that the model takes. */
const NEVER_MORE: readonly ObjectKind[] = [
  'constraint',
  'foreign-key',
  'trigger',
  'policy',
  'rule',
  'default',
];
const SHOWN_LENGTH = 200;

/** How what is there already differs from what should be there, in words; empty when nothing does. */
export function findDrift(plan: SchemaPlan, model: DatabaseSchema, target: DatabaseSchema): string[] {
  const there = new Map(target.objects.map((object) => [object.id, object]));
  const drift: string[] = [];
  for (const object of plan.objects) {
    const other = there.get(object.id);
    if (other === undefined || ONLY_BY_NAME.includes(object.kind)) continue;
    if (model.majorVersion !== target.majorVersion && PRINTED_BY_VERSION.includes(object.kind)) continue;
    const difference = firstDifference(object, other);
    if (difference !== undefined) drift.push(`${object.id}: ${difference}`);
  }
  return [...drift, ...tooMany(plan, target)];
}

function firstDifference(object: SchemaObject, other: SchemaObject): string | undefined {
  const [expected, found] = [object, other].map(({ create }) =>
    create.flatMap((statement) => statement.split('\n')),
  );
  for (let line = 0; line < Math.max(expected!.length, found!.length); line++) {
    if (expected![line] !== found![line])
      return `has ${shown(found![line])}, should have ${shown(expected![line])}`;
  }
  return undefined;
}

function shown(line: string | undefined): string {
  return line === undefined ? 'nothing' : line.trim().replace(/,$/, '').slice(0, SHOWN_LENGTH);
}

function tooMany(plan: SchemaPlan, target: DatabaseSchema): string[] {
  const wanted = new Set(plan.objects.map((object) => object.id));
  const tables = new Set(
    plan.objects
      .filter((object) => object.kind === 'table')
      .map((object) => object.id.slice('table '.length)),
  );
  return target.objects
    .filter((object) => object.partOf !== undefined && tables.has(object.partOf) && !wanted.has(object.id))
    .filter(
      (object) =>
        NEVER_MORE.includes(object.kind) ||
        (object.kind === 'index' && object.create[0]!.startsWith('CREATE UNIQUE')),
    )
    .map((object) => `${object.id} is too many`);
}
