import type { Dependencies, NamedRelation } from '../routing/dependencies.js';
import { quoteLiteral } from './quoting.js';

/** Objects with lower numbers are the system's own (FirstNormalObjectId, access/transam.h). */
const OWN = '>= 16384';
/** A function that may write. IMMUTABLE ones must not; those in C come from extensions, whose operators, casts and functions of a common name only compute. */
const MAY_WRITE = `p.provolatile <> 'i' AND p.prolang NOT IN (
    SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname IN ('c', 'internal'))`;

/** What any expression may call: operators, casts and the checks of domains. */
const EXPRESSIONS = [
  `EXISTS (
    SELECT FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode WHERE o.oid ${OWN} AND ${MAY_WRITE})`,
  `EXISTS (
    SELECT FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc WHERE c.oid ${OWN} AND ${MAY_WRITE})`,
  `EXISTS (
    SELECT FROM pg_catalog.pg_constraint k
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid
         JOIN pg_catalog.pg_proc p ON d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.refobjid
    WHERE k.contypid > 0 AND ${MAY_WRITE})`,
];

/** Reading such a relation runs nothing but the query itself: tables without policies, materialized views, sequences; not if a foreign table may be among its parts. */
const PLAIN = `c.relkind IN ('r', 'p', 'm', 'S', 't') AND NOT c.relrowsecurity AND NOT (c.relhassubclass AND EXISTS (
    SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class f ON f.oid = i.inhrelid WHERE f.relkind = 'f'))`;

/** What a function \`f\` of the user's own runs: itself, or the parts of an aggregate. */
const RUN_BY = `pg_catalog.pg_proc f LEFT JOIN pg_catalog.pg_aggregate g ON g.aggfnoid = f.oid
         JOIN pg_catalog.pg_proc p ON p.oid = ANY (ARRAY[f.oid, g.aggtransfn, g.aggfinalfn, g.aggcombinefn,
           g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn]::pg_catalog.oid[])`;

const questionOf = (doubt: string) => `SELECT CASE WHEN ${doubt} THEN 'yes' ELSE 'no' END`;
const ABOUT_EXPRESSIONS = questionOf(EXPRESSIONS.join(' OR '));

/** A query that names these and shows no write does not write when all answers are `no` (PostgreSQL manual chapter 53 for the catalogs). */
export function hiddenWritesSql({ relations, functions }: Dependencies): readonly string[] {
  return [ABOUT_EXPRESSIONS, ...relations.map(aboutRelation), ...functions.map(aboutFunction)];
}

function aboutFunction(name: string): string {
  return questionOf(
    `EXISTS (SELECT FROM ${RUN_BY} WHERE f.proname = ${quoteLiteral(name)} AND f.oid ${OWN} AND ${MAY_WRITE})`,
  );
}

/** Without a schema it may be any of that name. */
function aboutRelation({ schema, name, isOptional }: NamedRelation): string {
  const inSchema = schema === undefined ? '' : ` AND n.nspname = ${quoteLiteral(schema)}`;
  return questionOf(`(
    SELECT pg_catalog.bool_and(${PLAIN})
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = ${quoteLiteral(name)}${inSchema}) IS ${isOptional ? 'FALSE' : 'NOT TRUE'}`);
}
