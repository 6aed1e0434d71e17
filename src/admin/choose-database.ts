import { OperatingError } from '../lib/errors.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { Arguments } from './command.js';
import type { Control } from './control.js';

/** The database given, or all of them. */
export function chosenDatabases(control: Control, given: Arguments): string[] {
  const names = control.databases().map((database) => database.name);
  const wanted = given['database'];
  if (wanted === undefined) return names;
  if (names.includes(wanted)) return [wanted];
  throw new OperatingError('unknown-database', `there is no database ${wanted}`, {
    hint: `The databases are ${names.join(', ')}.`,
  });
}

/** The database given, or the only (sharded) one. Throws when it is not clear which one is meant. */
export function requireDatabase(control: Control, given: Arguments): string {
  if (given['database'] !== undefined) return chosenDatabases(control, given)[0]!;
  const all = control.databases();
  const sharded = all.filter((database) => database.isSharded);
  const candidates = sharded.length > 0 ? sharded : all;
  if (candidates.length === 1) return candidates[0]!.name;
  const names = all.map((database) => database.name).join(', ');
  throw new OperatingError('invalid-parameter', 'say which database is meant', {
    hint: `The databases are ${names}.`,
  });
}

export function requireSnapshot(control: Control, given: Arguments): Snapshot {
  const name = requireDatabase(control, given);
  const snapshot = control.snapshot(name);
  if (snapshot === undefined) throw new OperatingError('not-ready', `the database ${name} has no ring yet`);
  return snapshot;
}
