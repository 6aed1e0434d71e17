/**
 * SQLSTATE classes that pass by themselves: connection, resources (a full disk too), operator intervention,
 * serialization; and single ones: lock not available, object in use (a slot whose old walsender still lives).
 */
const PASSING_SQLSTATES = /^(08|53|57P|40|55P03|55006|58030)/;

/** Messages of `pg` for connections that went away, which carry no code. */
const LOST_CONNECTION =
  /connection (terminated|ended|closed|lost)|server closed the connection|not queryable|client was closed/i;

export function isPassing(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? PASSING_SQLSTATES.test(code) : LOST_CONNECTION.test(error.message);
}
