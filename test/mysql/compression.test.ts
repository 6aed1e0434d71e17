import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { Compressor, Decompressor, encodeCompressed } from '../../src/mysql/compression.js';

const long = Buffer.from('abcdefgh'.repeat(1000));
const short = Buffer.from('xyz');

describe('compressed packets', () => {
  test('are read back wherever they are cut; short ones are left as they are', () => {
    const packets = [encodeCompressed(long, 0), encodeCompressed(short, 1)];
    assert.ok(packets[0]!.length < long.length);
    assert.equal(packets[1]!.length, 7 + short.length);
    const bytes = Buffer.concat(packets);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const decompressor = new Decompressor(1 << 20);
      const found: Buffer[] = [];
      for (const chunk of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
        if (chunk.length > 0) decompressor.push(chunk);
        for (let next = decompressor.next(); next !== undefined; next = decompressor.next()) found.push(next);
      }
      assert.deepEqual(found, [long, short]);
      assert.equal(decompressor.sequence, 1);
    }
  });

  test('number the answer to each command on from its own, and are cut into pieces', () => {
    const packets: Buffer[] = [];
    const compressor = new Compressor((packet) => packets.push(packet) > 0);
    compressor.begin(1);
    compressor.write(Buffer.alloc(600_000));
    compressor.write(short);
    compressor.begin(4);
    compressor.write(short);
    assert.equal(compressor.flush(), true);
    assert.deepEqual(
      packets.map((packet) => packet[3]),
      [1, 2, 3, 4, 4],
    );
    const decompressor = new Decompressor(1 << 20);
    for (const packet of packets) decompressor.push(packet);
    let bytes = 0;
    for (let next = decompressor.next(); next !== undefined; next = decompressor.next()) bytes += next.length;
    assert.equal(bytes, 600_000 + 2 * short.length);
  });

  test('that lie about their length, or are none, are refused', () => {
    const lie = (length: number) => {
      const packet = encodeCompressed(long, 0);
      packet.writeUIntLE(length, 4, 3);
      const decompressor = new Decompressor(1 << 20);
      decompressor.push(packet);
      return () => decompressor.next();
    };
    assert.throws(lie(long.length - 1), { code: 'protocol-violation' });
    assert.throws(lie(long.length + 1), { code: 'protocol-violation' });
    assert.throws(lie((1 << 20) + 1), { code: 'limit-exceeded' });
    const garbage = new Decompressor(1 << 20);
    garbage.push(Buffer.from('0a0000000a000000112233445566778899', 'hex'));
    assert.throws(() => garbage.next(), { code: 'protocol-violation' });
  });

  test('that would become much memory are refused by what they say', () => {
    const bomb = deflateSync(Buffer.alloc(16_000_000));
    const header = Buffer.alloc(7);
    header.writeUIntLE(bomb.length, 0, 3);
    header.writeUIntLE(16_000_000, 4, 3);
    const decompressor = new Decompressor(1 << 20);
    decompressor.push(Buffer.concat([header, bomb]));
    assert.throws(() => decompressor.next(), { code: 'limit-exceeded' });
  });
});
