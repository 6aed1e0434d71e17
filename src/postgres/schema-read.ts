import type { EngineSession } from './engine-session.js';
import type { DatabaseSchema, SchemaObject } from './schema-object.js';
import { readNamedObjects } from './schema-others.js';
import { readTableObjects, readTableParts } from './schema-tables.js';
import { readTypeObjects } from './schema-types.js';

/** Objects below this oid are the server's own. */
const FIRST_USER_OID = 16_384;

/** Reads everything that users made in a database, and what needs what. One snapshot, so that it fits together. */
export async function readSchema(session: EngineSession): Promise<DatabaseSchema> {
  return await session.transaction(async () => {
    const version = Number(await session.value(`SELECT current_setting('server_version_num')`));
    const read = [
      await readNamedObjects(session),
      await readTypeObjects(session),
      await readTableObjects(session),
      await readTableParts(session),
    ].flat();
    const { needs, others } = await readNeeds(session, read);
    return { majorVersion: Math.floor(version / 10_000), objects: [...read, ...others], needs };
  }, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
}

/**
 * Dependencies as the catalogs keep them. Left out: what a serial's sequence says of its column (it would be a circle
 * with the column's default).
 */
const DEPENDENCIES_SQL = `
  SELECT DISTINCT d.classid::regclass::text || '/' || d.objid, d.refclassid::regclass::text || '/' || d.refobjid
  FROM pg_depend d
  WHERE d.objid >= ${FIRST_USER_OID} AND (d.refobjid >= ${FIRST_USER_OID} OR d.refclassid = 'pg_namespace'::regclass)
    AND d.deptype IN ('n', 'a', 'i', 'e')
    AND NOT (d.classid = 'pg_class'::regclass AND d.deptype = 'a' AND (SELECT relkind FROM pg_class WHERE oid = d.objid) = 'S')`;

/** Types stand for their arrays; generated columns' expressions, identity sequences, domain and NOT NULL checks, constraint triggers for what they are parts of. */
const ALIASES_SQL = `
  SELECT 'pg_type/' || a.oid, 'pg_type/' || t.oid FROM pg_type t JOIN pg_type a ON a.oid = t.typarray WHERE t.oid >= ${FIRST_USER_OID}
  UNION ALL
  SELECT 'pg_attrdef/' || ad.oid, 'pg_class/' || ad.adrelid FROM pg_attrdef ad JOIN pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum WHERE a.attgenerated <> ''
  UNION ALL
  SELECT 'pg_class/' || d.objid, 'pg_class/' || d.refobjid FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'i' AND d.refclassid = 'pg_class'::regclass
  UNION ALL
  SELECT 'pg_constraint/' || oid, CASE WHEN contypid <> 0 THEN 'pg_type/' || contypid ELSE 'pg_class/' || conrelid END FROM pg_constraint WHERE contypid <> 0 OR contype = 'n'
  UNION ALL
  SELECT 'pg_constraint/' || tgconstraint, 'pg_trigger/' || oid FROM pg_trigger WHERE tgconstraint <> 0 AND NOT tgisinternal
  UNION ALL
  SELECT 'pg_proc/' || d.objid, 'pg_type/' || d.refobjid FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'i' AND d.refclassid = 'pg_type'::regclass`;

async function readNeeds(
  session: EngineSession,
  objects: readonly SchemaObject[],
): Promise<{ needs: Map<string, Set<string>>; others: SchemaObject[] }> {
  const aliases = new Map((await session.rows(ALIASES_SQL)).map(([part, whole]) => [part!, whole!]));
  const ids = new Map<string, string>();
  for (const object of objects) for (const address of object.addresses) ids.set(address, object.id);
  const others = new Map<string, SchemaObject>();
  const idOf = (address: string): string | undefined => {
    let at: string | undefined = address;
    for (let steps = 0; at !== undefined && steps < 4; steps++) {
      const id = ids.get(at);
      if (id !== undefined) return id;
      at = aliases.get(at);
    }
    return undefined;
  };
  const needs = new Map<string, Set<string>>(objects.map((object) => [object.id, new Set(object.needs)]));
  for (const [dependent, referenced] of await session.rows(DEPENDENCIES_SQL)) {
    const id = idOf(dependent!);
    if (id === undefined) continue;
    const needed = idOf(referenced!) ?? (await unknownObject(session, referenced!, others));
    if (needed !== undefined && needed !== id) needs.get(id)?.add(needed);
  }
  return { needs, others: [...others.values()] };
}

/** Something that we do not copy (an operator, a cast, a text search configuration) but that an object of ours needs. */
async function unknownObject(
  session: EngineSession,
  address: string,
  others: Map<string, SchemaObject>,
): Promise<string | undefined> {
  const known = others.get(address);
  if (known !== undefined) return known.id;
  const [catalog, oid] = address.split('/');
  if (Number(oid) < FIRST_USER_OID) return undefined;
  const [row] = await session.rows('SELECT pg_describe_object($1::text::regclass, $2::oid, 0)', [
    catalog!,
    oid!,
  ]);
  const object: SchemaObject = {
    id: `other ${row?.[0] ?? address}`,
    partOf: undefined,
    kind: 'other',
    create: [],
    after: [],
    unsupported: 'objects of its kind are not copied',
    addresses: [address],
    needs: [],
  };
  others.set(address, object);
  return object.id;
}
