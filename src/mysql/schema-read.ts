import { type Keyspace, placedTables } from '../topology/keyspace.js';
import { OWN_PREFIX, quoteName } from './engine-names.js';
import type { EngineSession, TextRow } from './engine-session.js';

/** In the order in which they are made: what stands later may need what stands before it. */
export const OBJECT_KINDS = ['sequence', 'table', 'function', 'procedure', 'view'] as const;
export type ObjectKind = (typeof OBJECT_KINDS)[number];

/** One thing of a database, as the server itself would make it. */
export interface SchemaObject {
  readonly kind: ObjectKind;
  readonly name: string;
  /** The server's own CREATE statement, without what differs from shard to shard: the next AUTO_INCREMENT value. */
  readonly create: string;
  /** Of the session in which it was made; views and routines mean something else in another one. */
  readonly sqlMode: string | undefined;
  readonly collation: string | undefined;
}

export interface DatabaseSchema {
  /** `10.11`: servers of different versions print the same thing in different words. */
  readonly version: string;
  readonly objects: readonly SchemaObject[];
}

/** Reads what users made in the session's database. */
export async function readSchema(session: EngineSession): Promise<DatabaseSchema> {
  await session.run('SET SESSION sql_quote_show_create = 1');
  const version = (await session.value('SELECT VERSION()')) ?? '';
  const tables = await session.rows(
    'SELECT table_type, table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name',
  );
  const routines = await session.rows(
    'SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = DATABASE() ORDER BY routine_name',
  );
  const objects: SchemaObject[] = [];
  for (const [type, name] of [...tables, ...routines]) {
    const kind = KINDS[type!];
    if (kind !== undefined && !name!.startsWith(OWN_PREFIX))
      objects.push(await readObject(session, kind, name!));
  }
  return { version: /^\d+\.\d+/.exec(version)?.[0] ?? version, objects };
}

const KINDS: Readonly<Record<string, ObjectKind>> = {
  'BASE TABLE': 'table',
  'SYSTEM VERSIONED': 'table',
  VIEW: 'view',
  SEQUENCE: 'sequence',
  FUNCTION: 'function',
  PROCEDURE: 'procedure',
};

async function readObject(session: EngineSession, kind: ObjectKind, name: string): Promise<SchemaObject> {
  const [row] = await session.rows(`SHOW CREATE ${kind.toUpperCase()} ${quoteName(name)}`);
  const [create, sqlMode, collation] = describe(kind, row!);
  if (create === null)
    throw new Error(`${kind} ${name} cannot be read: the user needs SHOW_ROUTINE or SELECT on mysql.proc`);
  return { kind, name, create, sqlMode, collation };
}

/** Columns as the manual lists them under SHOW CREATE TABLE, VIEW and PROCEDURE. */
function describe(kind: ObjectKind, row: TextRow): [string | null, string | undefined, string | undefined] {
  if (kind === 'table') return [withoutNextId(row[1]!), undefined, undefined];
  if (kind === 'sequence') return [row[1]!, undefined, undefined];
  if (kind === 'view') return [row[1]!, undefined, row[3] ?? undefined];
  return [row[2] ?? null, row[1] ?? '', row[4] ?? undefined];
}

/** It stands among the options behind the last line that begins with a bracket. */
function withoutNextId(create: string): string {
  const options = create.lastIndexOf('\n) ENGINE=');
  if (options < 0) return create;
  return create.slice(0, options) + create.slice(options).replace(/ AUTO_INCREMENT=\d+/, '');
}

/** What of a model's schema belongs on every shard: all but the tables at home. */
export function placedObjects(schema: DatabaseSchema, keyspace: Keyspace): SchemaObject[] {
  const placed = new Set(placedTables(keyspace).map((table) => table.name));
  return schema.objects
    .filter((object) => object.kind !== 'table' || placed.has(object.name))
    .toSorted((one, other) => OBJECT_KINDS.indexOf(one.kind) - OBJECT_KINDS.indexOf(other.kind));
}
