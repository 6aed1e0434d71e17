import { MYSQL_FUNCTIONS } from '../../src/routing/mysql-function-names.js';
import type { Column, Keyspace, KeyType, Table } from '../../src/topology/keyspace.js';

const TYPES: Readonly<Record<string, { readonly code: number; readonly keyType?: KeyType }>> = {
  bigint: { code: 8, keyType: 'integer' },
  int: { code: 3, keyType: 'integer' },
  'varchar(40)': { code: 253, keyType: 'text-ci' },
  'varbinary(16)': { code: 253, keyType: 'bytes' },
  'decimal(10,2)': { code: 246, keyType: 'numeric' },
  date: { code: 10, keyType: 'date' },
  timestamp: { code: 7 },
};

export function mysqlColumn(name: string, type: keyof typeof TYPES, more: Partial<Column> = {}): Column {
  const { code, keyType } = TYPES[type]!;
  return {
    name,
    type,
    typeOid: code,
    isNotNull: false,
    defaultSql: undefined,
    isSequenceFilled: false,
    isGenerated: false,
    hasByteOrder: type === 'varbinary(16)',
    ...(keyType === undefined ? {} : { keyType }),
    ...(type === 'varchar(40)' ? { isLooselyEqual: true } : {}),
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
    `shop.${name}`,
    { schema: 'shop', name, kind: 'table', placement, key, columns, primaryKey: ['id'], reads: [], ...more },
  ];
}

/** The shop as planning sees it on MySQL, made by hand. */
export const MYSQL_SHOP: Keyspace = {
  database: 'shop',
  home: 'a',
  searchPath: ['shop'],
  hasByteOrder: false,
  builtinFunctions: MYSQL_FUNCTIONS,
  tables: new Map([
    table(
      'customers',
      'sharded',
      [
        mysqlColumn('id', 'bigint', { isNotNull: true }),
        mysqlColumn('name', 'varchar(40)'),
        mysqlColumn('city', 'varchar(40)'),
        mysqlColumn('age', 'int'),
        mysqlColumn('tag', 'varbinary(16)'),
        mysqlColumn('mood', 'varchar(40)', { type: "enum('good','bad')", isLooselyEqual: false }),
        mysqlColumn('marks', 'int', { type: 'bit(9)' }),
      ],
      { column: 'id', type: 'integer', bounds: { low: -(2n ** 63n), high: 2n ** 63n - 1n } },
    ),
    table(
      'orders',
      'sharded',
      [
        mysqlColumn('id', 'bigint'),
        mysqlColumn('customer_id', 'bigint'),
        mysqlColumn('total', 'decimal(10,2)'),
      ],
      { column: 'customer_id', type: 'integer', bounds: { low: -(2n ** 63n), high: 2n ** 63n - 1n } },
    ),
    table('docs', 'sharded', [mysqlColumn('slug', 'varchar(40)'), mysqlColumn('body', 'varchar(40)')], {
      column: 'slug',
      type: 'text-ci',
      maxLength: 10,
    }),
    table(
      'tickets',
      'sharded',
      [mysqlColumn('id', 'bigint', { isSequenceFilled: true }), mysqlColumn('customer_id', 'bigint')],
      { column: 'customer_id', type: 'integer' },
    ),
    table(
      'people',
      'sharded',
      [mysqlColumn('Id', 'int', { isSequenceFilled: true }), mysqlColumn('name', 'varchar(40)')],
      { column: 'Id', type: 'integer', bounds: { low: -(2n ** 31n), high: 2n ** 31n - 1n } },
    ),
    table(
      'hiding',
      'sharded',
      [mysqlColumn('x', 'int', { isInvisible: true }), mysqlColumn('a', 'int'), mysqlColumn('id', 'bigint')],
      { column: 'id', type: 'integer' },
    ),
    table('countries', 'reference', [
      mysqlColumn('code', 'varchar(40)'),
      mysqlColumn('title', 'varchar(40)'),
      mysqlColumn('made', 'timestamp', { isDefaultVolatile: true, isUpdateVolatile: true }),
    ]),
    table('settings', 'home', [mysqlColumn('name', 'varchar(40)'), mysqlColumn('value', 'varchar(40)')]),
    table('grown', 'home', [mysqlColumn('id', 'bigint')], undefined, {
      kind: 'view',
      reads: ['shop.customers'],
    }),
  ]),
  missing: new Map([['shop.invoices', { placement: 'sharded', key: 'customer_id' }]]),
};
