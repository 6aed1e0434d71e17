import type { Column, Keyspace, Table } from '../../src/topology/keyspace.js';
import { Ring } from '../../src/topology/ring.js';
import type { Move, Snapshot } from '../../src/topology/snapshot.js';

const OIDS = {
  bigint: 20,
  integer: 23,
  text: 25,
  numeric: 1700,
  date: 1082,
  timestamptz: 1184,
  uuid: 2950,
  boolean: 16,
  jsonb: 3802,
} as const;

export function column(name: string, type: keyof typeof OIDS, more: Partial<Column> = {}): Column {
  return {
    name,
    type,
    typeOid: OIDS[type],
    isNotNull: false,
    defaultSql: undefined,
    isSequenceFilled: false,
    isGenerated: false,
    hasByteOrder: false,
    ...more,
  };
}

function table(
  name: string,
  placement: Table['placement'],
  columns: readonly Column[],
  key?: Table['key'],
  more: Partial<Table> = {},
): [string, Table] {
  return [
    `public.${name}`,
    {
      schema: 'public',
      name,
      kind: 'table',
      placement,
      key,
      columns,
      primaryKey: ['id'],
      reads: [],
      ...more,
    },
  ];
}

/** A shop as planning sees it, made by hand: no database needed. */
export const SHOP: Keyspace = {
  database: 'shop',
  home: 'a',
  searchPath: ['public'],
  hasByteOrder: false,
  builtinFunctions: new Set(
    'now count sum min max avg lower upper round random nextval currval lastval setval generate_series length abs bool_and bool_or string_agg array_agg row_number rank pg_advisory_lock pg_advisory_xact_lock pg_sleep version query_to_xml set_config date_trunc gen_random_uuid dblink_connect'.split(
      ' ',
    ),
  ),
  volatileFunctions: new Set(['random', 'gen_random_uuid', 'nextval']),
  tables: new Map([
    table(
      'customers',
      'sharded',
      [
        column('id', 'bigint'),
        column('name', 'text'),
        column('city', 'text'),
        column('age', 'integer'),
        column('active', 'boolean'),
        column('extra', 'jsonb'),
      ],
      { column: 'id', type: 'integer' },
    ),
    table(
      'orders',
      'sharded',
      [column('id', 'bigint'), column('customer_id', 'integer'), column('total', 'numeric')],
      { column: 'customer_id', type: 'integer' },
    ),
    table('docs', 'sharded', [column('slug', 'text'), column('body', 'text')], {
      column: 'slug',
      type: 'text',
      maxLength: 10,
    }),
    table(
      'tickets',
      'sharded',
      [
        column('id', 'integer', { isSequenceFilled: true, defaultSql: "nextval('s')" }),
        column('customer_id', 'bigint'),
      ],
      { column: 'customer_id', type: 'integer' },
    ),
    table('days', 'sharded', [column('day', 'date'), column('note', 'text')], {
      column: 'day',
      type: 'date',
    }),
    table('countries', 'reference', [
      column('code', 'text'),
      column('title', 'text'),
      column('made', 'timestamptz', { isDefaultVolatile: true, defaultSql: 'now()' }),
    ]),
    table('settings', 'home', [column('name', 'text'), column('value', 'text')]),
    table('grown', 'home', [column('id', 'bigint')], undefined, {
      kind: 'view',
      reads: ['public.customers'],
    }),
    table('lands', 'home', [column('code', 'text')], undefined, {
      kind: 'view',
      reads: ['public.countries'],
    }),
  ]),
  missing: new Map([['public.invoices', { placement: 'sharded', key: 'customer_id' }]]),
  objects: new Map([
    ['public.orders_pkey', 'sharded'],
    ['public.settings_pkey', 'home'],
  ]),
};

export function snapshotOf(
  shards: readonly string[] = ['a', 'b', 'c'],
  moves: readonly Move[] = [],
): Snapshot {
  return {
    database: 'shop',
    epoch: 1,
    ring: Ring.of(shards, 64),
    shards: shards.map((name) => ({ name, url: '', isServing: true })),
    home: 'a',
    moves,
  };
}
