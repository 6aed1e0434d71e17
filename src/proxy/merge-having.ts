import { unsupported } from '../lib/errors.js';
import type { MergeComparison, MergeCondition, MergeHaving } from '../routing/plan.js';
import type { MergeValues } from './merge-values.js';

/** One of the values that HAVING looks at. */
interface Compared {
  readonly typeOid: number;
}

/** Whether a group is in the answer, from its values: undefined for NULL. */
export type GroupFilter = (values: readonly unknown[]) => boolean;

/** Throws `unsupported` for values that are no numbers: what a constant means beside them is for the database to say. */
export function groupFilter(
  { condition }: MergeHaving,
  compared: readonly Compared[],
  constants: readonly (string | null)[],
  values: MergeValues,
): GroupFilter {
  const check = evaluatorOf(condition, compared, constants, values);
  return (group) => check(group) === true;
}

/** True, false, or undefined for unknown: the logic of SQL. */
type Evaluator = (group: readonly unknown[]) => boolean | undefined;

function evaluatorOf(
  condition: MergeCondition,
  compared: readonly Compared[],
  constants: readonly (string | null)[],
  values: MergeValues,
): Evaluator {
  const inner = (each: MergeCondition) => evaluatorOf(each, compared, constants, values);
  switch (condition.type) {
    case 'and':
      return every(condition.conditions.map(inner));
    case 'or': {
      const none = every(condition.conditions.map((each) => negated(inner(each))));
      return negated(none);
    }
    case 'not':
      return negated(inner(condition.condition));
    case 'is-null':
      return (group) => group[condition.value] === undefined;
    case 'compare': {
      const { typeOid } = compared[condition.value]!;
      const constant = constants[condition.constant] ?? null;
      const compare = values.comparedWith(typeOid, constant ?? '0');
      if (compare === undefined)
        throw unsupported(
          `HAVING over several shards that compares values of type ${typeOid} with ${constant ?? 'NULL'}`,
          'Only numbers can be compared: group by the shard key too, or filter in the application.',
        );
      return (group) => {
        const value = group[condition.value];
        return value === undefined || constant === null
          ? undefined
          : HOLDS[condition.operator](compare(value));
      };
    }
  }
}

const HOLDS: Readonly<Record<MergeComparison, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

function every(evaluators: readonly Evaluator[]): Evaluator {
  return (group) => {
    let isUnknown = false;
    for (const evaluate of evaluators) {
      const found = evaluate(group);
      if (found === false) return false;
      isUnknown ||= found === undefined;
    }
    return isUnknown ? undefined : true;
  };
}

function negated(evaluate: Evaluator): Evaluator {
  return (group) => {
    const found = evaluate(group);
    return found === undefined ? undefined : !found;
  };
}
