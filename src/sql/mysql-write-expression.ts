import type { A_Const, A_Expr, CaseExpr, FuncCall, Node, SubLink, TypeName, WindowDef } from '@pgsql/types';
import { Unwritable, type Writer } from './mysql-writer.js';
import { namesOf, unwrap } from './postgres-tree.js';

/** Writes an expression with a parenthesis around everything that has an operator, so that precedence never matters. */
export function writeExpression(writer: Writer, node: Node | undefined): void {
  if (node === undefined) throw new Unwritable('an expression is missing');
  const [kind, fields] = unwrap(node);
  const write = EXPRESSIONS[kind];
  if (write === undefined) throw new Unwritable(kind);
  write(writer, fields as never);
}

type Write = (writer: Writer, fields: never) => void;

const EXPRESSIONS: Readonly<Record<string, Write>> = {
  A_Const: writeConstant,
  ParamRef: (writer, { number }: { number?: number }) => writer.parameter(number ?? 0),
  ColumnRef: writeColumn,
  A_Expr: writeOperator,
  BoolExpr: writeBool,
  NullTest: (writer, { arg, nulltesttype }: { arg: Node; nulltesttype: string }) =>
    around(writer, arg, nulltesttype === 'IS_NULL' ? 'IS NULL' : 'IS NOT NULL'),
  BooleanTest: (writer, { arg, booltesttype }: { arg: Node; booltesttype: string }) =>
    around(writer, arg, booltesttype.replaceAll('_', ' ')),
  SubLink: writeSubLink,
  FuncCall: writeCall,
  CoalesceExpr: (writer, { args }: { args: Node[] }) =>
    writer.put('coalesce').arguments(args, (arg) => writeExpression(writer, arg)),
  CaseExpr: writeCase,
  TypeCast: writeCast,
  CollateClause: (writer, { arg, collname }: { arg: Node; collname: Node[] }) =>
    writer.parenthesised(() => {
      writeExpression(writer, arg);
      writer.put('COLLATE').name(collationOf(collname));
    }),
  RowExpr: (writer, { args }: { args: Node[] }) =>
    writer.put('ROW').arguments(args, (arg) => writeExpression(writer, arg)),
  SetToDefault: (writer) => writer.put('DEFAULT'),
  UserVariable: (writer, { name }: { name: string }) => writer.put('@').join(quotedVariable(name)),
  VariableAssignment: (writer, { name, value }: { name: string; value: Node }) =>
    writer.parenthesised(() => {
      writer.put('@').join(quotedVariable(name)).put(':=');
      writeExpression(writer, value);
    }),
  SystemVariable: (writer, { name, scope }: { name: string; scope?: string }) =>
    writer.put(`@@${scope === undefined ? '' : `${scope}.`}${name}`),
  MatchAgainst: (writer, { args, against, mode }: { args: Node[]; against: Node; mode?: string }) => {
    writer
      .put('MATCH')
      .arguments(args, (arg) => writeExpression(writer, arg))
      .put('AGAINST')
      .put('(');
    writeExpression(writer, against);
    if (mode !== undefined) writer.put(mode);
    writer.put(')');
  },
};

function quotedVariable(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

function collationOf(collname: readonly Node[]): string {
  const name = namesOf(collname).at(-1) ?? '';
  if (!/^\w+$/.test(name)) throw new Unwritable('a collation');
  return name;
}

function around(writer: Writer, arg: Node, words: string): Writer {
  return writer.parenthesised(() => {
    writeExpression(writer, arg);
    writer.put(words);
  });
}

export function writeConstant(writer: Writer, constant: A_Const & { source?: string }): Writer {
  if (constant.isnull) return writer.put('NULL');
  if (constant.source !== undefined) return writer.put(constant.source);
  if (constant.boolval !== undefined) return writer.put(constant.boolval.boolval ? 'TRUE' : 'FALSE');
  if (constant.sval !== undefined) return writer.text(constant.sval.sval ?? '');
  if (constant.bsval !== undefined) return writer.put(constant.bsval.bsval ?? '');
  const number = constant.fval === undefined ? String(constant.ival?.ival ?? 0) : (constant.fval.fval ?? '0');
  return writer.put(number);
}

function writeColumn(writer: Writer, column: { fields: Node[]; isValues?: boolean }): void {
  const names = namesOf(column.fields);
  if (column.isValues === true) {
    writer.put('VALUES').arguments([names.at(-1)!], (name) => writer.name(name));
    return;
  }
  const isStar = names.at(-1) === '*' && 'A_Star' in column.fields.at(-1)!;
  if (!isStar) writer.names(names);
  else if (names.length === 1) writer.put('*');
  else writer.names(names.slice(0, -1)).join('.*');
}

const BOOL_WORDS: Readonly<Record<string, string>> = { AND_EXPR: 'AND', OR_EXPR: 'OR' };

function writeBool(writer: Writer, { boolop, args = [] }: { boolop: string; args?: Node[] }): void {
  writer.parenthesised(() => {
    if (boolop === 'NOT_EXPR') {
      writer.put('NOT');
      writer.parenthesised(() => writeExpression(writer, args[0]));
      return;
    }
    const word = BOOL_WORDS[boolop];
    if (word === undefined || args.length < 2) throw new Unwritable(boolop);
    args.forEach((arg, index) => {
      if (index > 0) writer.put(word);
      writeExpression(writer, arg);
    });
  });
}

const LIST_OPERATORS = new Set(['AEXPR_IN', 'AEXPR_BETWEEN', 'AEXPR_NOT_BETWEEN']);
const PLAIN_OPERATORS = new Set(['AEXPR_OP', 'AEXPR_NOT_DISTINCT', 'AEXPR_LIKE']);

function writeOperator(writer: Writer, expression: A_Expr & { unit?: string; escape?: Node }): void {
  const { kind, lexpr, rexpr, unit } = expression;
  const name = namesOf(expression.name).at(-1) ?? '';
  if (name === 'INTERVAL') {
    if (unit === undefined) throw new Unwritable('INTERVAL');
    writer.put('INTERVAL').parenthesised(() => writeExpression(writer, rexpr));
    writer.put(unit);
    return;
  }
  writer.parenthesised(() => {
    if (LIST_OPERATORS.has(kind ?? '')) {
      writeListOperator(writer, expression, name);
      return;
    }
    if (!PLAIN_OPERATORS.has(kind ?? '')) throw new Unwritable(kind);
    if (lexpr !== undefined) writeExpression(writer, lexpr);
    writer.put(name);
    if (name === '->' || name === '->>') writeConstant(writer, constantOf(rexpr));
    else writeExpression(writer, rexpr);
    if (expression.escape !== undefined) {
      writer.put('ESCAPE');
      writeExpression(writer, expression.escape);
    }
  });
}

function constantOf(node: Node | undefined): A_Const {
  if (node === undefined || !('A_Const' in node)) throw new Unwritable('a path');
  return node.A_Const;
}

function writeListOperator(writer: Writer, { kind, lexpr, rexpr }: A_Expr, name: string): void {
  const items = rexpr !== undefined && 'List' in rexpr ? (rexpr.List.items ?? []) : [];
  writeExpression(writer, lexpr);
  if (kind === 'AEXPR_IN') {
    writer.put(name === '=' ? 'IN' : 'NOT IN').put('(');
    writer.list(items, (item) => writeExpression(writer, item)).put(')');
    return;
  }
  if (items.length !== 2) throw new Unwritable(kind);
  writer.put(kind === 'AEXPR_BETWEEN' ? 'BETWEEN' : 'NOT BETWEEN');
  writeExpression(writer, items[0]);
  writer.put('AND');
  writeExpression(writer, items[1]);
}

function writeSubLink(writer: Writer, link: SubLink): void {
  switch (link.subLinkType) {
    case 'EXISTS_SUBLINK':
      writer.put('EXISTS').subquery(link.subselect, false);
      return;
    case 'EXPR_SUBLINK':
      writer.subquery(link.subselect, false);
      return;
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK':
      writer.parenthesised(() => {
        writeExpression(writer, link.testexpr);
        const operator = namesOf(link.operName)[0];
        if (operator === undefined) writer.put('IN');
        else writer.put(operator).put(link.subLinkType === 'ALL_SUBLINK' ? 'ALL' : 'ANY');
        writer.subquery(link.subselect, false);
      });
      return;
    default:
      throw new Unwritable(link.subLinkType);
  }
}

function writeCase(writer: Writer, { arg, args = [], defresult }: CaseExpr): void {
  writer.put('CASE');
  if (arg !== undefined) writeExpression(writer, arg);
  for (const when of args) {
    if (!('CaseWhen' in when)) throw new Unwritable('CASE');
    writer.put('WHEN');
    writeExpression(writer, when.CaseWhen.expr);
    writer.put('THEN');
    writeExpression(writer, when.CaseWhen.result);
  }
  if (defresult !== undefined) {
    writer.put('ELSE');
    writeExpression(writer, defresult);
  }
  writer.put('END');
}

interface CastFields {
  readonly arg: Node;
  readonly typeName: TypeName & { charset?: string; collate?: string };
  readonly form?: string;
}

const LITERAL_WORDS: Readonly<Record<string, string>> = { date: 'DATE', time: 'TIME', datetime: 'TIMESTAMP' };

function writeCast(writer: Writer, { arg, typeName, form }: CastFields): void {
  const name = namesOf(typeName.names).at(-1) ?? '';
  if (form === 'literal') {
    const word = LITERAL_WORDS[name];
    if (word === undefined || !('A_Const' in arg)) throw new Unwritable('a typed literal');
    writeConstant(writer.put(word), arg.A_Const);
    return;
  }
  if (!/^[a-z0-9]+$/.test(name)) throw new Unwritable('a type');
  writer.put('CAST').join('(');
  writeExpression(writer, arg);
  writer.put('AS').put(name.toUpperCase());
  const { typmods = [], charset, collate } = typeName;
  if (typmods.length > 0) writer.arguments(typmods, (modifier) => writeExpression(writer, modifier));
  if (charset !== undefined) writer.put(charset);
  if (collate !== undefined) writer.put('COLLATE').put(collate);
  writer.put(')');
}

interface CallFields {
  readonly separator?: Node;
  readonly limit?: Node[];
  readonly unit?: string;
  readonly using?: string;
  readonly form?: string;
}

const UNIT_FIRST = new Set(['timestampadd', 'timestampdiff', 'get_format']);

function writeCall(writer: Writer, call: FuncCall & CallFields): void {
  const names = namesOf(call.funcname);
  const name = names.at(-1) ?? '';
  const args = call.args ?? [];
  const write = (arg: Node) => writeExpression(writer, arg);
  if (call.agg_filter !== undefined || call.agg_within_group) throw new Unwritable(name);
  if (names.length > 1) writer.names(names);
  else writer.put(/^\w+$/.test(name) ? name : refuseName(name));
  writer.join('(');
  if (call.agg_star) writer.put('*');
  else if (call.unit !== undefined) writeUnits(writer, name, call.unit, args);
  else if (name === 'trim' && call.form !== undefined) writeTrim(writer, call.form, args);
  else {
    if (call.agg_distinct) writer.put('DISTINCT');
    writer.list(args, write);
    writeSorted(writer, call);
    if (call.using !== undefined) writer.put('USING').put(call.using);
  }
  writer.put(')');
  if (call.over !== undefined) writeOver(writer, call.over);
}

function refuseName(name: string): never {
  throw new Unwritable(name);
}

function writeSorted(writer: Writer, { agg_order = [], separator, limit = [] }: FuncCall & CallFields): void {
  if (agg_order.length > 0) writeOrderBy(writer, agg_order);
  if (separator !== undefined) {
    writer.put('SEPARATOR');
    writeExpression(writer, separator);
  }
  if (limit.length > 0) writer.put('LIMIT').list(limit, (item) => writeExpression(writer, item));
}

function writeUnits(writer: Writer, name: string, unit: string, args: readonly Node[]): void {
  writer.put(unit);
  if (name === 'extract') writer.put('FROM');
  else if (UNIT_FIRST.has(name)) writer.put(',');
  else throw new Unwritable(name);
  writer.list(args, (arg) => writeExpression(writer, arg));
}

function writeTrim(writer: Writer, form: string, args: readonly Node[]): void {
  writer.put(form);
  if (!form.endsWith('FROM')) {
    writeExpression(writer, args[0]);
    writer.put('FROM');
  }
  writeExpression(writer, args.at(-1));
}

function writeOver(writer: Writer, window: WindowDef & { frame?: string }): void {
  writer.put('OVER');
  if (window.name !== undefined) writer.name(window.name);
  else writeWindow(writer, window);
}

export function writeWindow(writer: Writer, window: WindowDef & { frame?: string }): void {
  writer.parenthesised(() => {
    if (window.refname !== undefined) writer.name(window.refname);
    const { partitionClause = [], orderClause = [] } = window;
    if (partitionClause.length > 0)
      writer.put('PARTITION BY').list(partitionClause, (item) => writeExpression(writer, item));
    if (orderClause.length > 0) writeOrderBy(writer, orderClause);
    if (window.frame !== undefined) writer.put(window.frame);
  });
}

export function writeOrderBy(writer: Writer, items: readonly Node[]): void {
  writer.put('ORDER BY').list(items, (item) => {
    if (
      !('SortBy' in item) ||
      (item.SortBy.sortby_nulls ?? 'SORTBY_NULLS_DEFAULT') !== 'SORTBY_NULLS_DEFAULT'
    )
      throw new Unwritable('ORDER BY');
    writeExpression(writer, item.SortBy.node);
    if (item.SortBy.sortby_dir === 'SORTBY_DESC') writer.put('DESC');
    else if (item.SortBy.sortby_dir === 'SORTBY_ASC') writer.put('ASC');
    else if (item.SortBy.sortby_dir === 'SORTBY_USING') throw new Unwritable('ORDER BY … USING');
  });
}
