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

/** A value that the merge computed, in the wing's own form. */
export interface TypedValue {
  readonly typeOid: number;
  readonly value: unknown;
}

/** The wing's arithmetic on values, as merging needs it. Numbers are the type's oid in the wing. */
export interface MergeValues {
  /** undefined: values of this type cannot be compared by us. */
  comparable(typeOid: number): ComparableType | undefined;
  /** An enum type with these labels, in their order. */
  enumOf(labels: readonly string[]): ComparableType;
  /** The sum of two values of a type that `sum()` gives; undefined when it cannot be added. */
  adder(typeOid: number): ((a: unknown, b: unknown) => unknown) | undefined;
  /** What `avg()` gives for a sum of this type: its type, and the value. undefined when that cannot be computed. */
  averager(
    sumTypeOid: number,
  ): { readonly typeOid: number; average(sum: unknown, count: bigint): unknown } | undefined;
  /** A computed value as another type. Throws OperatingError out of range like the server. */
  cast(value: TypedValue, to: MergeCast): TypedValue;
  typeOfCast(to: MergeCast): { readonly typeOid: number; readonly typeSize: number };
  /** The type's fixed size, -1 when it has none (RowDescription). */
  sizeOf(typeOid: number): number;
  encode(value: TypedValue, format: number): Buffer;
}
