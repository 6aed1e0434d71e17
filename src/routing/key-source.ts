import type { A_Const, Node } from '@pgsql/types';
import type { Template } from '../sql/postgres-template.js';
import { plainTypeOf } from '../sql/postgres-tree.js';
import type { KeyType } from '../topology/keyspace.js';
import type { KeySource } from './plan.js';
import type { SqlDialect } from './sql-dialect.js';

/** Finds the literal of the text that a constant of the tree was read from. */
export class LiteralIndex {
  readonly dialect: SqlDialect;
  readonly #sql: string;
  readonly #byteStarts = new Map<number, number>();
  readonly #starts: readonly number[];
  readonly #toChar: (byteOffset: number) => number;
  /** Literals whose values the plan depends on: they belong to the cache's key. */
  readonly read = new Set<number>();

  constructor(sql: string, template: Template, dialect: SqlDialect) {
    this.dialect = dialect;
    this.#sql = sql;
    this.#starts = template.starts;
    const isAscii = Buffer.byteLength(sql) === sql.length;
    let bytes = 0;
    let chars = 0;
    template.starts.forEach((start, index) => {
      bytes += isAscii ? start - chars : Buffer.byteLength(sql.slice(chars, start));
      chars = start;
      this.#byteStarts.set(bytes, index);
    });
    this.#toChar = isAscii
      ? (offset) => offset
      : (offset) => Buffer.from(sql).subarray(0, offset).toString().length;
  }

  /** The literal of a constant; a folded minus sign stands at the constant's location, before the literal. */
  find(constant: A_Const): { index: number; negated: boolean } | undefined {
    const location = constant.location ?? 0;
    const index = this.#byteStarts.get(location);
    if (index !== undefined) return { index, negated: false };
    if (constant.ival === undefined && constant.fval === undefined) return undefined;
    const from = this.#toChar(location);
    const following = this.#starts.findIndex((start) => start > from);
    if (following === -1) return undefined;
    const signs = this.#sql.slice(from, this.#starts[following]);
    if (!/^[-\s]+$/.test(signs) || signs.includes('--')) return undefined;
    return { index: following, negated: signs.replaceAll(/\s/g, '').length % 2 === 1 };
  }

  /** The value of a constant; the plan then holds for this value only. */
  readInteger(constant: A_Const): number | undefined {
    const found = this.find(constant);
    if (found !== undefined) this.read.add(found.index);
    return constant.ival === undefined ? undefined : (constant.ival.ival ?? 0);
  }
}

/** Where the value of an expression is found, if it is a literal, a parameter or NULL; `isArray` for the right side of `= ANY`. */
export function keySourceOf(
  node: Node | undefined,
  keyType: KeyType,
  literals: LiteralIndex,
  isArray = false,
): KeySource | undefined {
  if (node === undefined) return undefined;
  if ('ParamRef' in node)
    return { type: 'parameter', index: (node.ParamRef.number ?? 1) - 1, array: isArray };
  if ('TypeCast' in node) {
    const cast = plainTypeOf(node.TypeCast.typeName);
    if (cast === undefined || cast.isArray !== isArray || !literals.dialect.keepsKey(keyType, cast.name))
      return undefined;
    return keySourceOf(node.TypeCast.arg, keyType, literals, isArray);
  }
  if (!('A_Const' in node)) return undefined;
  const constant = node.A_Const;
  if (constant.isnull) return { type: 'null' };
  if (constant.boolval !== undefined) return undefined;
  if (constant.bsval !== undefined && !literals.dialect.takesBits(keyType)) return undefined;
  const found = literals.find(constant);
  if (found === undefined || (isArray && constant.sval === undefined)) return undefined;
  return isArray ? { type: 'literal', ...found, array: true } : { type: 'literal', ...found };
}
