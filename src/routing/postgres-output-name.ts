import type { Node } from '@pgsql/types';
import { namesOf } from '../sql/postgres-tree.js';

/** The name that an output column gets: its alias, or one made from its expression. */
export function targetName(target: Node | undefined): string {
  if (target === undefined || !('ResTarget' in target) || target.ResTarget.val === undefined)
    return '?column?';
  return target.ResTarget.name ?? figured(target.ResTarget.val)?.name ?? '?column?';
}

/** A good name says what the value is; a weak one gives way to that of a cast. */
interface Figured {
  readonly name: string;
  readonly isGood: boolean;
}

/** FigureColname in parse_target.c. */
function figured(node: Node): Figured | undefined {
  if ('ColumnRef' in node)
    return good(
      namesOf(node.ColumnRef.fields)
        .filter((name) => name !== '*')
        .at(-1),
    );
  if ('FuncCall' in node) return good(namesOf(node.FuncCall.funcname).at(-1));
  if ('A_Indirection' in node) {
    const field = namesOf(node.A_Indirection.indirection)
      .filter((name) => name !== '' && name !== '*')
      .at(-1);
    return field === undefined ? node.A_Indirection.arg && figured(node.A_Indirection.arg) : good(field);
  }
  if ('TypeCast' in node) {
    const inner = node.TypeCast.arg && figured(node.TypeCast.arg);
    return inner?.isGood === true ? inner : weak(namesOf(node.TypeCast.typeName?.names).at(-1));
  }
  if ('CollateClause' in node) return node.CollateClause.arg && figured(node.CollateClause.arg);
  if ('CaseExpr' in node) {
    const inner = node.CaseExpr.defresult && figured(node.CaseExpr.defresult);
    return inner?.isGood === true ? inner : weak('case');
  }
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? good('nullif') : undefined;
  if ('SQLValueFunction' in node)
    return good((node.SQLValueFunction.op ?? '').replace('SVFOP_', '').replace(/_N$/, '').toLowerCase());
  if ('SubLink' in node) return subLinkName(node.SubLink.subLinkType, node.SubLink.subselect);
  if ('MinMaxExpr' in node) return good(node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest');
  if ('CoalesceExpr' in node) return good('coalesce');
  if ('A_ArrayExpr' in node) return good('array');
  if ('RowExpr' in node) return good('row');
  if ('GroupingFunc' in node) return good('grouping');
  return undefined;
}

function subLinkName(type: string | undefined, select: Node | undefined): Figured | undefined {
  if (type === 'EXISTS_SUBLINK') return good('exists');
  if (type === 'ARRAY_SUBLINK') return good('array');
  if (type !== 'EXPR_SUBLINK' || select === undefined || !('SelectStmt' in select)) return undefined;
  return good(targetName(select.SelectStmt.targetList?.[0]));
}

function good(name: string | undefined): Figured | undefined {
  return name === undefined ? undefined : { name, isGood: true };
}

function weak(name: string | undefined): Figured | undefined {
  return name === undefined ? undefined : { name, isGood: false };
}
