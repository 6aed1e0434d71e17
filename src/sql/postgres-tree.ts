import type { FuncCall, Node, RangeVar, TypeName } from '@pgsql/types';

/** Trees of the parser are objects with one key, the kind: `{ ColumnRef: { … } }`. */
export type Visit = (kind: string, node: Record<string, unknown>) => 'skip' | undefined;

/** Walks over every wrapped node below `tree`, parents first; `skip` leaves out what is below one. */
export function walk(tree: unknown, visit: Visit): void {
  if (Array.isArray(tree)) {
    for (const element of tree) walk(element, visit);
    return;
  }
  if (tree === null || typeof tree !== 'object') return;
  for (const [key, value] of Object.entries(tree)) {
    if (value === null || typeof value !== 'object') continue;
    const isNode = key.charCodeAt(0) < 91 && !Array.isArray(value);
    if (isNode && visit(key, value as Record<string, unknown>) === 'skip') continue;
    walk(value, visit);
  }
}

/** A deep copy in which `replace` may put something else for any wrapped node. */
export function copyTree<T>(tree: T, replace: (node: Node) => Node | undefined): T {
  if (Array.isArray(tree)) return tree.map((element: unknown) => copyTree(element, replace)) as T;
  if (tree === null || typeof tree !== 'object') return tree;
  const replaced = replace(tree as unknown as Node);
  if (replaced !== undefined) return replaced as T;
  const copy: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(tree)) copy[key] = copyTree(value as unknown, replace);
  return copy as T;
}

/** Names in a list of String nodes; `*` for A_Star. */
export function namesOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).map((node) =>
    'String' in node ? (node.String.sval ?? '') : 'A_Star' in node ? '*' : '',
  );
}

/** The wrapped node's kind and fields, for dispatch on kinds that have no type of their own here. */
export function unwrap(node: Node): [kind: string, fields: Record<string, unknown>] {
  const entry = Object.entries(node)[0];
  if (entry === undefined) throw new TypeError('an empty parse node');
  return [entry[0], entry[1] as Record<string, unknown>];
}

export function functionNameOf(call: FuncCall): { schema: string | undefined; name: string } {
  const names = namesOf(call.funcname);
  return { schema: names.length > 1 ? names.at(-2) : undefined, name: names.at(-1) ?? '' };
}

/** `int4`, `text` …; undefined for types outside of pg_catalog, for SETOF, %TYPE and those with modifiers. */
export function plainTypeOf(type: TypeName | undefined): { name: string; isArray: boolean } | undefined {
  if (type === undefined || type.setof || type.pct_type || (type.typmods ?? []).length > 0) return undefined;
  const names = namesOf(type.names);
  if (names.length > 2 || (names.length === 2 && names[0] !== 'pg_catalog')) return undefined;
  return { name: names.at(-1)!, isArray: (type.arrayBounds ?? []).length > 0 };
}

export function isBuiltinOperator(names: readonly Node[] | undefined, operator: string): boolean {
  const found = namesOf(names);
  return found.at(-1) === operator && (found.length === 1 || found[0] === 'pg_catalog');
}

export function rangeVarName(range: RangeVar): string {
  return range.schemaname === undefined ? (range.relname ?? '') : `${range.schemaname}.${range.relname}`;
}
