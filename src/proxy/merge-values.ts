import type { ResultColumn } from '../pool/backend.js';
import type { MergeCast } from '../routing/plan.js';

/** How values of one type are read, compared and told apart. `V` is the wing's own form of a value. */
export interface ComparableType<V = unknown> {
  /** `format`: 0 text, 1 binary. Throws OperatingError `unsupported` for a form that it cannot read. */
  decode(bytes: Buffer, format: number): V;
  /** The order of the database; for collated types that of bytes. */
  compare(a: V, b: V): number;
  /** Equal for equal values, and only for them. */
  keyOf(value: V): string;
  /** Text, whose order depends on a collation. */
  readonly isCollated: boolean;
}

/** Texts by the weights that a shard sent beside them: compared as the database compares them. */
export interface WeighedText {
  /** Do weights say how values of this column compare? Not for what is no text of a character set. */
  applies(column: ResultColumn): boolean;
  /** `blank`: empty where trailing blanks count. */
  decode(weight: Buffer, blank: Buffer): unknown;
  compare(a: unknown, b: unknown): number;
  keyOf(value: unknown): string;
}

/** A value that the merge computed, in the wing's own form. */
export interface TypedValue {
  readonly typeOid: number;
  readonly value: unknown;
}

/** The wing's arithmetic on values, as merging needs it. Numbers are the type's oid in the wing. */
export interface MergeValues {
  /** May a row's columns come in different formats? */
  readonly mixesFormats: boolean;
  /** undefined: values of this type cannot be compared by us. */
  comparable(typeOid: number): ComparableType | undefined;
  /** undefined: the wing's databases have no weights. */
  readonly weighed: WeighedText | undefined;
  /** An enum type with these labels, in their order. */
  enumOf(labels: readonly string[]): ComparableType;
  /** The order of a number of this type against a constant (a plain decimal number); undefined for other types. */
  comparedWith(typeOid: number, constant: string): ((value: unknown) => number) | undefined;
  /** The sum of two values of a type that `sum()` gives; undefined when it cannot be added. */
  adder(typeOid: number): ((a: unknown, b: unknown) => unknown) | undefined;
  /** What `avg()` gives for a sum of this type: its type, and the value. undefined when that cannot be computed. */
  averager(sumTypeOid: number):
    | {
        readonly typeOid: number;
        /** `like`: how a server describes such an average, where it was asked. */
        average(sum: unknown, count: bigint, like?: ResultColumn): unknown;
      }
    | undefined;
  /** A computed value as another type. Throws OperatingError out of range like the server. */
  cast(value: TypedValue, to: MergeCast): TypedValue;
  typeOfCast(to: MergeCast): { readonly typeOid: number; readonly typeSize: number };
  /** The type's fixed size, -1 when it has none (RowDescription). */
  sizeOf(typeOid: number): number;
  /** `like`: how a server describes such a value. */
  encode(value: TypedValue, format: number, like?: ResultColumn): Buffer;
  /** The same column under another name. */
  renamed(column: ResultColumn, name: string): ResultColumn;
}
