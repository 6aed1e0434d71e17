import type { DatabaseSchema, ObjectKind, SchemaObject } from './schema-read.js';

/** Each version prints their expressions in its own words; a difference between versions means nothing. */
const PRINTED_BY_VERSION: readonly ObjectKind[] = ['view', 'function', 'procedure', 'sequence'];
const SHOWN_LENGTH = 200;

/** How what is there already differs from what should be there, in words; empty when nothing does. */
export function findDrift(
  wanted: readonly SchemaObject[],
  model: DatabaseSchema,
  target: DatabaseSchema,
): string[] {
  const there = new Map(target.objects.map((object) => [objectId(object), object]));
  const drift: string[] = [];
  for (const object of wanted) {
    const other = there.get(objectId(object));
    if (other === undefined || object.kind === 'sequence') continue;
    if (model.version !== target.version && PRINTED_BY_VERSION.includes(object.kind)) continue;
    const difference = firstDifference(comparable(object), comparable(other));
    if (difference !== undefined) drift.push(`${objectId(object)}: ${difference}`);
  }
  return drift;
}

export function objectId(object: Pick<SchemaObject, 'kind' | 'name'>): string {
  return `${object.kind} ${object.name}`;
}

/** The character set that a column's definition names before its collation, which implies it: MySQL shows it only if CREATE named it. */
const IMPLIED_CHARSET =
  /^(`(?:[^`]|``)+` [a-z]+(?:\((?:'(?:[^'\\]|''|\\.)*'|[^')])*\))?) CHARACTER SET \w+(?= COLLATE )/;

/** Line by line; who made it differs from server to server. */
function comparable({ create }: SchemaObject): string[] {
  return create
    .replace(/ DEFINER=(?:`(?:[^`]|``)*`|\S+?)@(?:`(?:[^`]|``)*`|\S+)/, '')
    .split('\n')
    .map((line) => line.trim().replace(/,$/, '').replace(IMPLIED_CHARSET, '$1'));
}

function firstDifference(expected: readonly string[], found: readonly string[]): string | undefined {
  for (let line = 0; line < Math.max(expected.length, found.length); line++) {
    if (expected[line] !== found[line])
      return `has ${shown(found[line])}, should have ${shown(expected[line])}`;
  }
  return undefined;
}

function shown(line: string | undefined): string {
  return line === undefined ? 'nothing' : line.slice(0, SHOWN_LENGTH);
}
