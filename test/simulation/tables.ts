import type { Keyspace, Table } from '../../src/topology/keyspace.js';

export const ITEMS = 'public.items';
export const LINES = 'public.lines';
export const COUNTRIES = 'public.countries';

function table(name: string, placement: Table['placement']): Table {
  return {
    schema: 'public',
    name,
    kind: 'table',
    placement,
    key: placement === 'sharded' ? { column: 'id', type: 'text' } : undefined,
    columns: [],
    primaryKey: ['id'],
    reads: [],
  };
}

export function keyspaceOf(names: Readonly<Record<string, Table['placement']>>): Keyspace {
  return {
    database: 'shop',
    home: 'a',
    tables: new Map(
      Object.entries(names).map(([name, placement]) => [`public.${name}`, table(name, placement)]),
    ),
    searchPath: ['public'],
    builtinFunctions: new Set(),
    hasByteOrder: true,
  };
}

export const SHOP = keyspaceOf({
  items: 'sharded',
  lines: 'sharded',
  countries: 'reference',
  settings: 'home',
});
