import type { Dependencies, NamedRelation } from '../routing/dependencies.js';

/** Reading any other kind runs something else: a view's functions. */
const PLAIN_TYPES = "'BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE', 'SYSTEM VIEW'";
/** Their rows are read from somewhere else, where they may be those of a view. */
const REMOTE_ENGINES = "'FEDERATED', 'CONNECT', 'SPIDER'";

/**
 * A query that names these and shows no write does not write when all answers are `no`. Functions of the user's own are never called by a native
 * one's name alone.
 */
export function hiddenWritesSql({ relations }: Dependencies): readonly string[] {
  return relations.map(aboutRelation);
}

/** Schema and name are said as constants: then the server looks at no other table (MariaDB and MySQL manuals, information_schema optimization). */
function aboutRelation({ schema, name, isOptional }: NamedRelation): string {
  // What a backslash means in a text hangs on the session.
  if (`${schema}${name}`.includes('\\')) return "SELECT 'yes'";
  const inSchema = schema === undefined ? 'DATABASE()' : quoted(schema);
  const isOther = `TABLE_TYPE NOT IN (${PLAIN_TYPES}) OR COALESCE(ENGINE, '') IN (${REMOTE_ENGINES})`;
  const found = `SELECT MAX(${isOther}) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${inSchema} AND TABLE_NAME = ${quoted(name)}`;
  return `SELECT IF(COALESCE((${found}), ${isOptional ? 0 : 1}), 'yes', 'no')`;
}

function quoted(name: string): string {
  return `'${name.replaceAll("'", "''")}'`;
}
