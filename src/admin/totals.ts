import { Histogram } from '../metrics/histogram.js';
import type { DatabaseState, TemplateState } from './control.js';

/** One database as all processes together see it; `first` is the process where migrations run and holds are measured. */
export function addDatabases(
  first: readonly DatabaseState[],
  others: readonly DatabaseState[],
): DatabaseState[] {
  const sums = new Map(first.map((state) => [state.name, state]));
  for (const state of others) {
    const sum = sums.get(state.name);
    sums.set(state.name, sum === undefined ? state : added(sum, state));
  }
  return [...sums.values()];
}

function added(sum: DatabaseState, state: DatabaseState): DatabaseState {
  const numbers = Object.entries(state).map(([key, value]) => {
    const before = sum[key as keyof DatabaseState];
    return [key, typeof value === 'number' && typeof before === 'number' ? before + value : before];
  });
  return {
    ...(Object.fromEntries(numbers) as unknown as DatabaseState),
    isPaused: sum.isPaused || state.isPaused,
    statementMs: Histogram.sum([sum.statementMs, state.statementMs]),
    // All processes go through the same hold: it is one, not many.
    lastHoldMs: Math.max(sum.lastHoldMs, state.lastHoldMs),
    holdMs: sum.holdMs,
  };
}

/** What counts since the start, of a process that has ended: it has no clients and holds nothing any more. */
export function countersOf(state: DatabaseState): DatabaseState {
  return {
    ...state,
    isPaused: false,
    clientsIdle: 0,
    clientsActive: 0,
    clientsWaiting: 0,
    plansCached: 0,
    heldNow: 0,
    lastHoldMs: 0,
  };
}

/** The same template in several processes is one; the busiest by total time first. */
export function mergeTemplates(templates: readonly TemplateState[], limit: number): TemplateState[] {
  const sums = new Map<string, TemplateState>();
  for (const state of templates) {
    const key = JSON.stringify([state.database, state.template, state.route]);
    const sum = sums.get(key);
    const merged =
      sum === undefined
        ? state
        : {
            ...state,
            calls: sum.calls + state.calls,
            totalMs: sum.totalMs + state.totalMs,
            errors: sum.errors + state.errors,
          };
    sums.set(key, merged);
  }
  return [...sums.values()].sort((a, b) => b.totalMs - a.totalMs).slice(0, limit);
}
