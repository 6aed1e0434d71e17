import type { PreparedStatement, Step } from '../pool/request.js';

type Bind = Extract<Step, { type: 'bind' }>;

/** The steps of an extended request up to and with one Execute, or what is left behind the last. */
export interface Unit {
  readonly steps: readonly Step[];
  readonly execute: Extract<Step, { type: 'execute' }> | undefined;
}

/** Cuts a request behind each Execute. */
export function unitsOf(steps: readonly Step[]): Unit[] {
  const units: Unit[] = [];
  let from = 0;
  steps.forEach((step, index) => {
    if (step.type !== 'execute') return;
    units.push({ steps: steps.slice(from, index + 1), execute: step });
    from = index + 1;
  });
  if (from < steps.length) units.push({ steps: steps.slice(from), execute: undefined });
  return units;
}

/**
 * Can these steps go to one backend as they are? Only `[Parse] [Describe S] Bind [Describe P] Execute` of one statement and
 * portal, or an Execute alone of a portal that lives there.
 */
export function isRelayable(unit: Unit, isPortalThere: boolean): boolean {
  const { execute, steps } = unit;
  if (execute === undefined) return false;
  const bind = steps.find((step): step is Bind => step.type === 'bind');
  if (bind === undefined)
    return isPortalThere && steps.every((step) => step.type === 'execute' || step.type === 'describe-portal');
  return bind.portal === execute.portal && steps.every((step) => concerns(step, bind, execute.portal));
}

function concerns(step: Step, bind: Bind, portal: string): boolean {
  switch (step.type) {
    case 'parse':
      return step.prepared.name === bind.statementName;
    case 'describe-statement':
      return step.statementName === bind.statementName;
    case 'bind':
      return step === bind;
    case 'describe-portal':
    case 'execute':
      return step.portal === portal;
    default:
      return false;
  }
}

export function parsedIn(unit: Unit): PreparedStatement | undefined {
  const parse = unit.steps.find((step) => step.type === 'parse');
  return parse?.type === 'parse' ? parse.prepared : undefined;
}
