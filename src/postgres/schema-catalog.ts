import { quoteName, quoteText } from './engine-names.js';
import type { TextRow } from './engine-session.js';

/** What every catalog query says about ownership: who owns it, who may do what, and the comment. */
export interface Belongings {
  readonly owner: string;
  /** null: the defaults. */
  readonly privileges:
    | readonly { readonly grantee: string; readonly privilege: string; readonly grantable: boolean }[]
    | null;
  readonly comment: string | null;
}

/** SQL of a JSON object with the fields of Belongings; `acl` and `owner` are columns, `comment` an expression. */
export function belongingsSql(owner: string, acl: string, comment: string): string {
  return `json_build_object('owner', (SELECT rolname FROM pg_roles WHERE oid = ${owner}), 'comment', ${comment}, 'privileges',
    CASE WHEN ${acl} IS NOT NULL THEN (SELECT json_agg(json_build_object(
      'grantee', coalesce((SELECT rolname FROM pg_roles WHERE oid = x.grantee), 'PUBLIC'), 'privilege', x.privilege_type, 'grantable', x.is_grantable)
      ORDER BY x.grantee, x.privilege_type) FROM aclexplode(${acl}) x) END)`;
}

/** Statements that give `target` (e.g. `TABLE public.orders`) its belongings. */
export function belongingStatements(target: string, belongings: Belongings, ownerTarget = target): string[] {
  const statements = [`ALTER ${ownerTarget} OWNER TO ${quoteName(belongings.owner)}`];
  if (belongings.comment !== null)
    statements.push(`COMMENT ON ${ownerTarget} IS ${quoteText(belongings.comment)}`);
  if (belongings.privileges === null) return statements;
  statements.push(`REVOKE ALL ON ${target} FROM PUBLIC, ${quoteName(belongings.owner)}`);
  for (const { grantee, privilege, grantable } of belongings.privileges) {
    const role = grantee === 'PUBLIC' ? 'PUBLIC' : quoteName(grantee);
    statements.push(`GRANT ${privilege} ON ${target} TO ${role}${grantable ? ' WITH GRANT OPTION' : ''}`);
  }
  return statements;
}

/** Condition: a schema that users made things in, and not ours. */
export function userSchema(namespace: string): string {
  return `${namespace}.nspname !~ '^pg_' AND ${namespace}.nspname <> 'information_schema' AND ${namespace}.nspname <> 'ringferry'`;
}

/** Condition: not a part of an extension, which makes it itself. */
export function ownObject(catalog: string, oid: string): string {
  return `NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`;
}

export function parsed<T>(row: TextRow, index: number): T {
  return JSON.parse(row[index]!) as T;
}
