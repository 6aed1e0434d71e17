import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { quoteText } from './engine-names.js';
import type { EngineSession, TextRow } from './engine-session.js';

export type Finding = readonly [message: string, remedy: string];

/** A foreign key that concerns tables which take part. */
interface ForeignKey {
  readonly name: string;
  /** `schema.name` of the table that has it, and of the one that it refers to. */
  readonly from: string;
  readonly to: string;
  /** Its columns: child's and parent's. */
  readonly pairs: readonly (readonly [child: string, parent: string])[];
  readonly rules: readonly string[];
}

/** Foreign keys that could not hold when rows are on several shards; and what a cascade does is not in the log. */
export async function foreignKeyFindings(
  session: EngineSession,
  tables: readonly Table[],
): Promise<Finding[]> {
  if (tables.length === 0) return [];
  const placed = new Map(tables.map((table) => [tableKey(table), table]));
  const keys = await readForeignKeys(session, tables);
  return keys.flatMap((key) => [
    ...placeFindings(key, placed.get(key.from), placed.get(key.to)),
    ...(placed.has(key.from) ? cascadeFindings(key) : []),
  ]);
}

function placeFindings(
  { name, from, to, pairs }: ForeignKey,
  child: Table | undefined,
  parent: Table | undefined,
): Finding[] {
  if (parent === undefined)
    return [
      [
        `foreign key ${name} of ${from} refers to ${to}, which is at home only, so it cannot hold on another shard`,
        `Declare ${to} as a reference table, or drop the foreign key.`,
      ],
    ];
  if (child === undefined)
    return [
      [
        `foreign key ${name} of ${from}, which is at home only, refers to rows of ${to} that move to another shard`,
        `Declare ${from} as a reference table or give it a shard key, or drop the foreign key.`,
      ],
    ];
  if (parent.key === undefined) return [];
  if (child.key === undefined)
    return [
      [
        `foreign key ${name} of ${from}, which is on every shard, refers to rows of ${to} that are on one`,
        'Drop the foreign key.',
      ],
    ];
  const isByKey = pairs.some(([own, other]) => own === child.key?.column && other === parent.key?.column);
  if (isByKey) return [];
  return [
    [
      `foreign key ${name} of ${from} does not refer to ${to} by the shard keys of both, so its two rows may be on different shards`,
      `Add ${child.key.column} and ${parent.key.column} to its columns, or drop the foreign key.`,
    ],
  ];
}

function cascadeFindings({ name, from, rules }: ForeignKey): Finding[] {
  const cascade = rules.find((rule) => rule !== 'RESTRICT' && rule !== 'NO ACTION');
  if (cascade === undefined) return [];
  return [
    [
      `foreign key ${name} of ${from} changes rows by ${cascade}, which InnoDB does not write to the log`,
      `Make it ON UPDATE RESTRICT ON DELETE RESTRICT, and delete or change the rows of ${from} in the application.`,
    ],
  ];
}

/** Those of the tables, and those of others that refer to the tables. */
async function readForeignKeys(session: EngineSession, tables: readonly Table[]): Promise<ForeignKey[]> {
  const names = tables.map(({ schema, name }) => `(${quoteText(schema)}, ${quoteText(name)})`).join(', ');
  const rules = await session.rows(
    `SELECT constraint_schema, table_name, constraint_name, unique_constraint_schema, referenced_table_name, update_rule, delete_rule
     FROM information_schema.referential_constraints
     WHERE (constraint_schema, table_name) IN (${names}) OR (unique_constraint_schema, referenced_table_name) IN (${names})`,
  );
  if (rules.length === 0) return [];
  const schemas = [...new Set(rules.map(([schema]) => quoteText(schema!)))];
  const columns = await session.rows(
    `SELECT constraint_schema, table_name, constraint_name, column_name, referenced_column_name
     FROM information_schema.key_column_usage
     WHERE constraint_schema IN (${schemas.join(', ')}) AND referenced_column_name IS NOT NULL`,
  );
  const isSame = (one: TextRow, other: TextRow): boolean =>
    [0, 1, 2].every((index) => one[index] === other[index]);
  return rules.map((rule) => ({
    name: rule[2]!,
    from: `${rule[0]}.${rule[1]}`,
    to: `${rule[3]}.${rule[4]}`,
    pairs: columns
      .filter((column) => isSame(column, rule))
      .map((column) => [column[3]!, column[4]!] as const),
    rules: rule.slice(5).map(String),
  }));
}
