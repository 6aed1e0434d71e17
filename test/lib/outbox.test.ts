import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { Outbox } from '../../src/lib/outbox.js';

function open() {
  const writes: string[] = [];
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      writes.push(chunk.toString());
      done();
    },
  });
  return { outbox: new Outbox(socket as Socket), writes };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what promises of the same event send goes in the same write', async () => {
  const { outbox, writes } = open();
  setImmediate(() => {
    void (async () => {
      outbox.send(Buffer.from('rows '));
      for (let hop = 0; hop < 5; hop++) await undefined;
      outbox.send(Buffer.from('ready'));
    })();
  });
  await turn();
  await turn();
  assert.deepEqual(writes, ['rows ready']);
});

test('several outboxes are written at the end of one event, each once', async () => {
  const [one, other] = [open(), open()];
  one.outbox.send(Buffer.from('a'));
  other.outbox.send(Buffer.from('b'));
  one.outbox.send(Buffer.from('c'));
  await turn();
  assert.deepEqual([one.writes, other.writes], [['ac'], ['b']]);
  one.outbox.send(Buffer.from('d'));
  await turn();
  assert.deepEqual(one.writes, ['ac', 'd']);
});

test('a patient one waits for other events of the turn', async () => {
  const { outbox, writes } = open();
  outbox.isPatient = true;
  outbox.send(Buffer.from('a'));
  await Promise.resolve();
  process.nextTick(() => outbox.send(Buffer.from('b')));
  await turn();
  await turn();
  assert.deepEqual(writes, ['ab']);
});
