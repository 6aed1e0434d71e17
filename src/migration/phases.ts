import { OperatingError } from '../lib/errors.js';
import type { MigrationRecord, Phase } from './record.js';

interface PhaseRule {
  /** Phases that may follow. */
  readonly next: readonly Phase[];
  /** What the operator may ask for while in it. */
  readonly requests: readonly Request[];
  /** Where the loop goes on after a lost connection: a phase that can be entered from nothing. */
  readonly retry: Phase;
}

export type Request = NonNullable<MigrationRecord['request']>;

/** What is legal per phase; everything else is a programmer's error. */
export const PHASE_RULES: Readonly<Record<Phase, PhaseRule>> = {
  planned: { next: ['preparing', 'aborting'], requests: ['cutover', 'abort'], retry: 'planned' },
  preparing: { next: ['backfilling', 'aborting'], requests: ['cutover', 'abort'], retry: 'preparing' },
  backfilling: { next: ['catching-up', 'aborting'], requests: ['cutover', 'abort'], retry: 'backfilling' },
  'catching-up': {
    next: ['verifying', 'mirroring', 'aborting'],
    requests: ['cutover', 'abort'],
    retry: 'catching-up',
  },
  verifying: {
    next: ['mirroring', 'catching-up', 'aborting'],
    requests: ['cutover', 'abort'],
    retry: 'catching-up',
  },
  mirroring: {
    next: ['ready', 'catching-up', 'aborting'],
    requests: ['cutover', 'abort'],
    retry: 'catching-up',
  },
  ready: {
    next: ['cutting-over', 'catching-up', 'aborting'],
    requests: ['cutover', 'abort'],
    retry: 'catching-up',
  },
  'cutting-over': {
    next: ['switched', 'ready', 'catching-up', 'preparing', 'aborting'],
    requests: ['cutover', 'abort'],
    retry: 'catching-up',
  },
  switched: { next: ['cleaning', 'rolling-back'], requests: ['finish', 'rollback'], retry: 'switched' },
  cleaning: { next: ['done'], requests: [], retry: 'cleaning' },
  done: { next: [], requests: [], retry: 'done' },
  'rolling-back': { next: ['aborting', 'switched'], requests: [], retry: 'rolling-back' },
  aborting: { next: ['aborted', 'failed'], requests: [], retry: 'aborting' },
  aborted: { next: [], requests: [], retry: 'aborted' },
  failed: { next: [], requests: [], retry: 'failed' },
};

export function isOver(phase: Phase): boolean {
  return PHASE_RULES[phase].next.length === 0;
}

/** Abort is free: the source owns everything and a failure ends the migration instead of being lived with. */
export function isBeforeCutover(phase: Phase): boolean {
  return PHASE_RULES[phase].requests.includes('abort');
}

/** Throws OperatingError `migration` with what may be asked for instead. */
export function refuseUnfit(record: MigrationRecord, request: Request): void {
  const { requests } = PHASE_RULES[record.phase];
  if (requests.includes(request)) return;
  throw new OperatingError(
    'migration',
    `migration ${record.id} is ${record.phase}: it cannot ${request} now`,
    {
      hint:
        requests.length > 0
          ? `What can be asked for now: ${requests.join(', ')}.`
          : 'Nothing can be asked for in this phase.',
    },
  );
}
