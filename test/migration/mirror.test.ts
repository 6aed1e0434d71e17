import assert from 'node:assert/strict';
import test from 'node:test';
import type { AppliedStream, MigrationEngine } from '../../src/migration/engine.js';
import { SimSession } from '../simulation/session.js';
import { ITEMS } from '../simulation/tables.js';
import { ADD_D, Stage } from './stage.js';

/** Streams whose `waitFor` and lag can be made bad. */
function slowable(trouble: { isStuck: boolean; lagBytes: number }) {
  return (engine: MigrationEngine): MigrationEngine => {
    const { openStream } = engine;
    return Object.assign(engine, {
      openStream: async (...args: Parameters<typeof openStream>): Promise<AppliedStream> => {
        const stream = await openStream.apply(engine, args);
        const { waitFor } = stream;
        return Object.defineProperty(
          Object.assign(stream, {
            waitFor: async (position: string) => {
              if (trouble.isStuck) await new Promise(() => {});
              await waitFor.call(stream, position);
            },
          }),
          'lagBytes',
          { get: () => trouble.lagBytes },
        );
      },
    });
  };
}

function movingKey(stage: Stage): string {
  return [...stage.server.databases.get('d')!.rows(ITEMS).keys()][0]!;
}

async function writeMs(stage: Stage): Promise<number> {
  const before = stage.server.time.now();
  const session = new SimSession(stage.server, stage.proxy);
  await stage.settle(session.write([{ table: ITEMS, key: movingKey(stage), value: String(before) }], 0));
  return stage.server.time.now() - before;
}

test('when the other owner does not keep up, acknowledgements wait once and not for ever, and the migration steps back', async () => {
  const trouble = { isStuck: false, lagBytes: 0 };
  const stage = await Stage.open({ weaken: { engine: slowable(trouble) } });
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  await stage.reach('ready');
  assert.ok((await writeMs(stage)) < 200);
  trouble.isStuck = true;
  const lateMs = await writeMs(stage);
  assert.ok(lateMs >= 1_000 && lateMs < 1_300, `the limit is 1000 ms, it took ${lateMs}`);
  await stage.reach('catching-up');
  assert.equal(stage.state.record.stepsBack, 1);
  assert.ok((await writeMs(stage)) < 200, 'nobody waits while it catches up');
  assert.ok(stage.proxy.topology.current.moves.every(({ state }) => state === 'copying'));
  trouble.isStuck = false;
  stage.server.crash();
  await stage.until(() => stage.server.proxy !== undefined);
  await stage.reach('ready');
});

test('a stream that falls behind the limit steps the migration back before anybody has to wait', async () => {
  const trouble = { isStuck: false, lagBytes: 0 };
  const stage = await Stage.open({ weaken: { engine: slowable(trouble) } });
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  await stage.reach('ready');
  trouble.lagBytes = 200_000;
  await stage.until(() => stage.state.record.stepsBack > 0);
  trouble.lagBytes = 0;
  await stage.reach('ready');
  await stage.ask('cutover');
  await stage.reach('switched');
});

test('after the cutover a late way back holds nobody up, and is waited for again once it has caught up', async () => {
  const trouble = { isStuck: false, lagBytes: 0 };
  const stage = await Stage.open({ weaken: { engine: slowable(trouble) } });
  await stage.begin();
  await stage.reach('switched');
  await stage.pass(2_000);
  trouble.isStuck = true;
  assert.ok((await writeMs(stage)) >= 1_000);
  assert.ok((await writeMs(stage)) < 200);
  assert.equal(stage.state.record.phase, 'switched');
  trouble.isStuck = false;
  await stage.pass(5_000);
  trouble.isStuck = true;
  assert.ok((await writeMs(stage)) >= 1_000, 'it is waited for again');
});

test('a barrier for a migration that is not there resolves at once', async () => {
  const stage = await Stage.open();
  await stage.settle(stage.proxy.topology.mirrorBarrier('m77', 'a', '1'));
});
