import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { BEFORE_THE_CUTOVER, FROM_THE_CUTOVER_ON, OF_A_ROLLBACK, OF_AN_ABORT } from '../stop-points.js';
import { type Ending, type Outcome, play, type Scenario } from './scenario.js';

/*
 * Every promise of DESIGN section 4 at once, in virtual time: one owner, no acknowledged write lost, no row twice or
 * missing in a scatter, acknowledged writes on both owners while mirroring, nothing left behind, no client error.
 */

const KINDS = ['add-shard', 'remove-shard', 'rebalance'] as const;
const ENDINGS = ['finish', 'rollback', 'abort'] as const;
const RUNS = Number(process.env.RINGFERRY_SIMULATIONS ?? 30);

const scenarios = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 31 }),
  kind: fc.constantFrom(...KINDS),
  ending: fc.constantFrom(...ENDINGS),
  afterMs: fc.integer({ min: 0, max: 2_000 }),
  crashAfterMs: fc.option(fc.integer({ min: 0, max: 1_500 }), { nil: undefined }),
});

function expectedPhase(ending: Ending): string {
  return ending === 'finish' ? 'done' : 'aborted';
}

function assertKept(outcome: Outcome, ending: Ending): void {
  const broken = [...outcome.violations, ...outcome.mirrorMisses, ...outcome.clientErrors];
  assert.deepEqual(broken, [], outcome.warnings.slice(-20).join('\n'));
  assert.equal(outcome.phase, expectedPhase(ending));
  assert.ok(outcome.acknowledged > 10 && outcome.scatters > 0, 'there was traffic');
}

test('a migration under traffic keeps every promise, and so does one whose process is killed at any moment', async () => {
  await fc.assert(
    fc.asyncProperty(scenarios, async ({ crashAfterMs, ...scenario }) => {
      const outcome = await play({ ...scenario, ...(crashAfterMs === undefined ? {} : { crashAfterMs }) });
      assertKept(outcome, scenario.ending);
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
});

test('rows are never lost or doubled, whatever calls to databases and store fail or hang', async () => {
  await fc.assert(
    fc.asyncProperty(scenarios, async ({ crashAfterMs, ...scenario }) => {
      const faults = { failing: 0.008, hanging: 0.001 };
      const outcome = await play({
        ...scenario,
        faults,
        ...(crashAfterMs === undefined ? {} : { crashAfterMs }),
      });
      // With databases that do not answer, a statement may fail at a fence or wait in vain for the mirror, nothing else.
      assert.deepEqual(outcome.violations, [], outcome.warnings.slice(-20).join('\n'));
      assert.equal(outcome.phase, expectedPhase(scenario.ending));
    }),
    { numRuns: Math.ceil(RUNS / 10), endOnFailure: true },
  );
});

for (const kind of KINDS) {
  for (const ending of ENDINGS) {
    test(`${kind} with ${ending}: a process killed at any stop point goes on to the same end`, async () => {
      const scenario: Scenario = { seed: 5, kind, ending, afterMs: 700 };
      const calm = await play(scenario);
      assertKept(calm, ending);
      for (const point of new Set(calm.visited)) {
        const outcome = await play({ ...scenario, crashAt: { point, nth: 1 } });
        assert.equal(outcome.crashes, 1, `it was killed at ${point}`);
        assertKept(outcome, ending);
      }
    });
  }
}

test('the stop points cover the cutover, the rollback and both ways of cleaning up', async () => {
  const visited = new Set<string>();
  for (const ending of ENDINGS) {
    for (const point of (await play({ seed: 5, kind: 'add-shard', ending, afterMs: 700 })).visited)
      visited.add(point);
  }
  const expected = [...BEFORE_THE_CUTOVER, ...FROM_THE_CUTOVER_ON, ...OF_AN_ABORT, ...OF_A_ROLLBACK];
  assert.deepEqual(
    expected.filter((point) => !visited.has(point)),
    [],
  );
});
