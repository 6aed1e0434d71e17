import assert from 'node:assert/strict';
import test from 'node:test';
import type { AppliedStream, MigrationEngine } from '../../src/migration/engine.js';
import type { Topology } from '../../src/topology/topology.js';
import { play, type Scenario } from './scenario.js';
import type { ServerOptions } from './server.js';

/*
 * A guard that no test misses is not known to work: each is taken away here, and the simulation must notice within a
 * few seeds.
 */

const MOST_SEEDS = 60;

async function assertNoticed(
  weaken: NonNullable<ServerOptions['weaken']>,
  changes: Partial<Scenario> = {},
): Promise<void> {
  for (let seed = 1; seed <= MOST_SEEDS; seed++) {
    const ending = changes.ending ?? 'finish';
    const outcome = await play({ seed, kind: 'add-shard', ending, afterMs: 800, weaken, ...changes });
    const isAsExpected = outcome.phase === (ending === 'finish' ? 'done' : 'aborted');
    const isClean =
      outcome.violations.length + outcome.clientErrors.length + outcome.mirrorMisses.length === 0;
    if (!isAsExpected || !isClean) return;
  }
  assert.fail(`${MOST_SEEDS} seeds did not notice that the guard was gone`);
}

function without(
  replace: (engine: MigrationEngine) => Partial<MigrationEngine>,
): NonNullable<ServerOptions['weaken']> {
  return {
    engine: (engine) => {
      const replaced = replace(engine) as Record<string, unknown>;
      return new Proxy(engine, {
        get: (target, name) => {
          const value = replaced[String(name)] ?? Reflect.get(target, name);
          return typeof value === 'function'
            ? value.bind(replaced[String(name)] === undefined ? target : replaced)
            : value;
        },
      });
    },
  };
}

function weakened(change: (topology: Topology) => void): NonNullable<ServerOptions['weaken']> {
  return { topology: change };
}

test('noticed: statements are not held at the gate', () =>
  assertNoticed(
    weakened(({ gate }) => {
      const enter = gate.enter.bind(gate);
      gate.enter = (ticket, touch) => {
        void enter(ticket, touch);
        return undefined;
      };
    }),
  ));

test('noticed: the cutover does not wait for open transactions', () =>
  assertNoticed(
    weakened(({ gate }) => {
      gate.drained = () => Promise.resolve();
    }),
  ));

test('noticed: the fence is not raised', () =>
  assertNoticed(
    without(() => ({
      raiseFence: async () => ({ lower: async () => {}, keep: async () => {}, release: async () => {} }),
    })),
  ));

test('noticed: the marker is taken before the fence', () =>
  assertNoticed(
    without((engine) => {
      const early = new Map<string, Promise<string>>();
      return {
        raiseFence: async (address, name, tasks, deadlineMs) => {
          early.set(address.shard, engine.currentPosition(address));
          await early.get(address.shard);
          return engine.raiseFence(address, name, tasks, deadlineMs);
        },
        writeMarker: async (address, migration) =>
          early.get(address.shard) ?? engine.writeMarker(address, migration),
      };
    }),
    { faults: { failing: 0, hanging: 0, slowStreamMs: 30 } },
  ));

test('noticed: nobody waits until the marker was applied', () =>
  assertNoticed(
    without((engine) => ({
      openStream: async (spec, signal) => {
        const stream = await engine.openStream(spec, signal);
        return new Proxy(stream, {
          get: (target, name) => {
            if (name === 'waitFor') return async () => {};
            const value = Reflect.get(target, name, target) as unknown;
            return typeof value === 'function' ? value.bind(target) : value;
          },
        }) as AppliedStream;
      },
    })),
  ));

test('noticed: acknowledgements do not wait for the mirror', () =>
  assertNoticed(
    weakened((topology) => {
      Object.defineProperty(topology, 'mirrorBarrier', { get: () => async () => {}, set: () => {} });
    }),
  ));

test('noticed: rows are copied, and later deleted, under transactions that still see the topology before', () =>
  assertNoticed(
    weakened(({ gate }) => {
      gate.passed = () => Promise.resolve();
    }),
  ));

test('noticed: a copy that is begun again meets the rows of the one before', () =>
  assertNoticed(
    without(() => ({ clearTarget: async () => {} })),
    { crashAt: { point: 'copied', nth: 1 } },
  ));

test('noticed: a fence that a dead process left up is not lowered', () =>
  assertNoticed(
    without(() => ({ lowerKeptFence: async () => {} })),
    { crashAt: { point: 'fence-kept', nth: 1 } },
  ));

test('noticed: the moved rows stay on the source after the finish', () =>
  assertNoticed(without(() => ({ deleteRows: async () => 0 }))));

test('noticed: the fences of the sources stay up after a rollback', () =>
  assertNoticed(
    without(() => ({ lowerKeptFence: async () => {} })),
    { ending: 'rollback' },
  ));
