import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { postgresValues } from '../../src/postgres/values.js';
import { groupFilter } from '../../src/proxy/merge-having.js';
import type { MergeComparison, MergeCondition } from '../../src/routing/plan.js';

const BIGINT = 20;
const REAL = 700;

const compare = (operator: MergeComparison, constant = 0): MergeCondition => ({
  type: 'compare',
  operator,
  value: 0,
  constant,
});
const NULL_VALUE: MergeCondition = { type: 'is-null', value: 0 };
const not = (condition: MergeCondition): MergeCondition => ({ type: 'not', condition });

function filter(condition: MergeCondition, constants: readonly (string | null)[], typeOid = BIGINT) {
  return groupFilter({ values: [], constants: [], condition }, [{ typeOid }], constants, postgresValues);
}

describe('HAVING over merged groups', () => {
  for (const [operator, below, same, above] of [
    ['=', false, true, false],
    ['<>', true, false, true],
    ['<', true, false, false],
    ['<=', true, true, false],
    ['>', false, false, true],
    ['>=', false, true, true],
  ] as const)
    test(`a number ${operator} a constant`, () => {
      const isIn = filter(compare(operator), ['9007199254740993']);
      assert.deepEqual(
        [9007199254740992n, 9007199254740993n, 9007199254740994n].map((value) => isIn([value])),
        [below, same, above],
      );
    });

  test('what is unknown is not in the answer, and neither is its contrary', () => {
    for (const [value, constant] of [
      [undefined, '1'],
      [1n, null],
    ] as const) {
      assert.equal(filter(compare('='), [constant])([value]), false);
      assert.equal(filter(not(compare('=')), [constant])([value]), false);
      assert.equal(
        filter({ type: 'or', conditions: [compare('='), not(NULL_VALUE)] }, [constant])([1n]),
        true,
      );
      assert.equal(
        filter({ type: 'and', conditions: [compare('='), NULL_VALUE] }, [constant])([value]),
        false,
      );
    }
    assert.equal(filter(NULL_VALUE, [])([undefined]), true);
    assert.equal(
      filter({ type: 'or', conditions: [compare('=', 0), compare('>', 1)] }, [null, '1'])([2n]),
      true,
    );
    assert.equal(
      filter(not({ type: 'and', conditions: [compare('=', 0), compare('>', 1)] }), [null, '5'])([2n]),
      true,
    );
  });

  test('a number whose comparison the database would make with other digits is refused', () => {
    assert.throws(
      () => filter(compare('>'), ['0.1'], REAL),
      (error: unknown) => error instanceof OperatingError && error.sqlstate === '0A000',
    );
  });
});
