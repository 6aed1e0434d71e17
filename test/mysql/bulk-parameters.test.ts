import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { BulkParameters, decodeBulkExecute } from '../../src/mysql/bulk-parameters.js';
import { encodeExecute } from '../../src/mysql/commands.js';
import { payloadOf } from '../../src/mysql/packets.js';
import { bulk, DEFAULT, IGNORE } from './bulk-commands.js';

const PACKET = bulk([
  [1, 'a'],
  [2, null],
  [3, DEFAULT],
  [4, IGNORE],
])(9);

test('a bulk execution is said to servers as the client has said it, under another number', () => {
  const parameters = decodeBulkExecute(payloadOf(PACKET), 2, undefined);
  assert.ok(parameters instanceof BulkParameters, String(parameters));
  assert.deepEqual(encodeExecute(9, parameters), PACKET);
  assert.equal(encodeExecute(10, parameters).readUInt32LE(5), 10);
});

test('a packet that is cut anywhere has fewer whole sets, or is refused', () => {
  const payload = payloadOf(PACKET);
  for (let length = 0; length < payload.length; length++) {
    const cut = payload.subarray(0, length);
    if (length < 7) continue;
    try {
      const found = decodeBulkExecute(cut, 2, undefined);
      if (found instanceof BulkParameters) assert.ok(found.sets.length < 4, `${length} bytes`);
      else assert.equal(found, 'wrong-arguments');
    } catch (thrown) {
      assert.ok(thrown instanceof OperatingError && thrown.code === 'protocol-violation', String(thrown));
    }
  }
});
