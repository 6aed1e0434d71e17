import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../src/lib/log.js';
import { Ticket } from '../../src/topology/gate.js';
import { firstSnapshot } from '../../src/topology/opening.js';
import { encodeTopology } from '../../src/topology/stored-json.js';
import { Topology } from '../../src/topology/topology.js';
import { Channel } from '../../src/workers/channel.js';
import { type ToWorker, toWorkerSchema, type Welcome } from '../../src/workers/messages.js';
import { RemoteParticipant } from '../../src/workers/remote-participant.js';
import { TopologyDuty } from '../../src/workers/topology-duty.js';
import { writeHold } from '../../src/workers/written-hold.js';
import { Stage } from '../migration/stage.js';

const log = createLog('silent');
const SHOP = {
  name: 'shop',
  shards: { a: { url: 'postgres://a/shop' }, b: { url: 'postgres://b/shop' } },
  home: 'a',
  ring: { vnodes: 4 },
};
const HOLD = { ranges: [{ low: -10n, high: 10n }], reference: false };
const TOUCH = { tokens: [1n], sharded: false, reference: false };

/** A primary's topology and a worker's, joined by a wire that a test may cut. */
function joined() {
  const primary = new Topology(firstSnapshot(SHOP));
  const duty = new TopologyDuty(welcomeOf(primary));
  const wire = { isCut: false, sent: 0 };
  const carry = (to: () => Channel<never, never>) => (message: object) => {
    wire.sent++;
    const text = JSON.stringify(message);
    if (!wire.isCut) queueMicrotask(() => to().receive(JSON.parse(text)));
  };
  const near: Channel<ToWorker, ToWorker> = new Channel<ToWorker, ToWorker>({
    wire: { send: carry(() => far as unknown as Channel<never, never>) },
    schema: toWorkerSchema,
    onMessage: () => undefined,
    log,
  });
  const far: Channel<ToWorker, ToWorker> = new Channel<ToWorker, ToWorker>({
    wire: { send: carry(() => near as unknown as Channel<never, never>) },
    schema: toWorkerSchema,
    onMessage: (message) => duty.take(message as Parameters<TopologyDuty['take']>[0]),
    log,
  });
  let die: () => void = () => {};
  const left = new Promise<void>((resolve) => {
    die = () => {
      near.close();
      resolve();
    };
  });
  const leave = primary.participants.join(new RemoteParticipant('shop', near, left, () => {}));
  return { primary, worker: duty.topologies.get('shop')!, wire, far, die, leave };
}

function welcomeOf(topology: Topology): Pick<Welcome, 'topologies' | 'config'> {
  const hold = topology.participants.standingHold;
  return {
    topologies: [
      {
        database: 'shop',
        topology: encodeTopology(topology.current),
        hold: hold === undefined ? null : writeHold(hold),
      },
    ],
    config: { databases: { shop: SHOP } } as unknown as Welcome['config'],
  };
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

test('a hold stands when the worker says so, and is drained when its transaction has left', async () => {
  const { primary, worker } = joined();
  const ticket = new Ticket();
  assert.equal(worker.gate.enter(ticket, TOUCH), undefined);
  await primary.participants.hold(HOLD);
  const drained = primary.participants.drained();
  assert.equal(await isSettled(drained), false);
  const waiting = worker.gate.enter(new Ticket(), TOUCH);
  assert.notEqual(waiting, undefined);
  worker.gate.leave(ticket);
  await drained;
  const next = { ...primary.current, epoch: 2 };
  void primary.publish(next);
  primary.participants.release();
  await waiting;
  assert.equal(
    worker.current.epoch,
    2,
    'who waited routes by the epoch that was published before the release',
  );
});

test('a lost acknowledgement is none, until the process has ended', async () => {
  const { primary, wire, die } = joined();
  wire.isCut = true;
  const held = primary.participants.hold(HOLD);
  assert.equal(await isSettled(held), false);
  die();
  await held;
  await primary.participants.drained();
});

test('a refusal is no acknowledgement, until the process has ended', async () => {
  const { primary, worker, die } = joined();
  worker.gate.hold(HOLD);
  const held = primary.participants.hold(HOLD);
  assert.equal(await isSettled(held), false);
  die();
  await held;
});

test('a worker that comes during a hold holds before it serves', async () => {
  const { primary } = joined();
  await primary.participants.hold(HOLD);
  const late = new TopologyDuty(welcomeOf(primary)).topologies.get('shop')!;
  assert.notEqual(late.gate.enter(new Ticket(), TOUCH), undefined);
});

test('what is not understood is refused and not acted upon', async () => {
  const { primary, wire, far } = joined();
  far.receive({
    message: { type: 'hold', database: 'shop', hold: { ranges: [['x', 'y']], reference: 1 } },
    ask: 7,
  });
  far.receive('nonsense');
  far.receive({ answer: 99, value: null });
  assert.equal(wire.sent, 1, 'the refusal of the question');
  await primary.participants.hold(HOLD);
});

test('a cutover that a proxy does not acknowledge is put off until it does, and no statement fails', async () => {
  const stage = await Stage.open();
  const never = new Promise<void>(() => {});
  const now = async () => {};
  let releases = 0;
  const leave = stage.proxy.topology.participants.join({
    publish: now,
    hold: () => never,
    drained: now,
    passed: now,
    release: () => {
      releases++;
    },
  });
  await stage.begin();
  await stage.until(() => stage.state.record.cutoverAttempts >= 3);
  assert.notEqual(stage.state.record.phase, 'switched');
  assert.ok(releases >= 2, 'every hold that was not acknowledged was released');
  leave();
  await stage.reach('switched');
});
