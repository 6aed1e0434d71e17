import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { OperatingError } from '../../src/lib/errors.js';
import { encodePacket, MAX_PAYLOAD_BYTES, PacketFramer, payloadOf } from '../../src/mysql/packets.js';

/** Packets of many sizes, the stream of them, and ways to cut it. */
const streams = fc
  .array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 12 })
  .chain((payloads) => {
    const frames = payloads.map((payload, index) => encodePacket(Buffer.from(payload), index));
    const bytes = Buffer.concat(frames);
    return fc.record({
      frames: fc.constant(frames),
      bytes: fc.constant(bytes),
      cuts: fc.array(fc.nat({ max: bytes.length }), { maxLength: 20 }),
    });
  });

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => Buffer.from(bytes.subarray(at[index], end)));
}

interface Found {
  readonly frames: Buffer[];
  /** Packets that were handed out in parts: their first bytes. */
  readonly parted: number[];
}

/** Whole packets found, with parts joined again. */
function read(chunks: readonly Buffer[], streamsRows: boolean, pushFirst = false): Found {
  const framer = new PacketFramer();
  framer.streamsRows = streamsRows;
  const found: Found = { frames: [], parted: [] };
  let parts: Buffer[] = [];
  const drain = () => {
    while (framer.next()) {
      assert.equal(framer.isFirst, parts.length === 0);
      parts.push(framer.buffer.subarray(framer.start, framer.end));
      if (!framer.isLast) continue;
      if (parts.length > 1) found.parted.push(framer.firstByte);
      const frame = Buffer.concat(parts);
      assert.equal(framer.firstByte, frame.length === 4 ? -1 : frame[4]);
      assert.equal(framer.sequence, frame[3]);
      assert.equal(framer.payloadBytes, frame.readUIntLE(0, 3));
      found.frames.push(frame);
      parts = [];
    }
  };
  for (const chunk of chunks) {
    framer.push(chunk);
    if (!pushFirst) drain();
  }
  drain();
  assert.equal(framer.waitingBytes, 0);
  return found;
}

describe('the framer', () => {
  test('finds the same packets however the stream is cut', () => {
    fc.assert(
      fc.property(streams, fc.boolean(), fc.boolean(), ({ frames, bytes, cuts }, streamsRows, pushFirst) => {
        assert.deepEqual(read(pieces(bytes, cuts), streamsRows, pushFirst).frames, frames);
      }),
    );
  });

  test('finds them one byte at a time', () => {
    fc.assert(
      fc.property(streams, fc.boolean(), ({ frames, bytes }, streamsRows) => {
        const chunks = [...bytes].map((byte) => Buffer.of(byte));
        assert.deepEqual(read(chunks, streamsRows).frames, frames);
      }),
      { numRuns: 30 },
    );
  });

  test('hands out rows in parts only when it may, and never an EOF or ERR', () => {
    const row = encodePacket(Buffer.concat([Buffer.of(0xfe), Buffer.alloc(20)]));
    const eof = encodePacket(Buffer.of(0xfe, 0, 0, 2, 0));
    const err = encodePacket(Buffer.concat([Buffer.of(0xff), Buffer.alloc(20)]));
    const bytes = Buffer.concat([row, eof, err]);
    const chunks = [...bytes].map((byte) => Buffer.of(byte));
    assert.deepEqual(read(chunks, true).parted, [0xfe]);
    assert.deepEqual(read(chunks, false).parted, []);
  });

  for (const length of [
    MAX_PAYLOAD_BYTES - 1,
    MAX_PAYLOAD_BYTES,
    MAX_PAYLOAD_BYTES + 1,
    2 * MAX_PAYLOAD_BYTES,
  ]) {
    test(`joins a packet of ${length} bytes with the headers it needs`, () => {
      const payload = Buffer.alloc(length, 'row ');
      payload[length - 1] = 0x21;
      const frame = encodePacket(payload, 255);
      const headers = Math.floor(length / MAX_PAYLOAD_BYTES) + 1;
      assert.equal(frame.length, length + 4 * headers);
      const next = encodePacket(Buffer.of(1), 7);
      const bytes = Buffer.concat([frame, next]);
      const cuts = [3, 5, MAX_PAYLOAD_BYTES + 3, MAX_PAYLOAD_BYTES + 6, frame.length + 2].filter(
        (at) => at < bytes.length,
      );
      for (const streamsRows of [false, true]) {
        const { frames } = read(pieces(bytes, cuts), streamsRows);
        assert.equal(frames.length, 2);
        assert.ok(frames[0]!.equals(frame));
        assert.ok(payloadOf(frames[0]!).equals(payload));
        assert.deepEqual(frames[1], next);
      }
    });
  }

  test('says the sequence id of the last header of a long packet', () => {
    const framer = new PacketFramer();
    framer.push(encodePacket(Buffer.alloc(MAX_PAYLOAD_BYTES), 255));
    assert.ok(framer.next());
    assert.deepEqual([framer.sequence, framer.lastSequence], [255, 0]);
  });

  test('refuses a packet that is longer than allowed at its header, also when its parts are each short enough', () => {
    const refuses = (framer: PacketFramer) =>
      assert.throws(
        () => framer.next(),
        (error: unknown) => error instanceof OperatingError && error.code === 'limit-exceeded',
      );
    const short = new PacketFramer(100);
    short.push(Buffer.of(101, 0, 0, 0, 1));
    refuses(short);
    const long = new PacketFramer(MAX_PAYLOAD_BYTES + 10);
    long.push(encodePacket(Buffer.alloc(MAX_PAYLOAD_BYTES + 11)));
    refuses(long);
    const allowed = new PacketFramer(100);
    allowed.push(encodePacket(Buffer.alloc(100)));
    assert.ok(allowed.next());
  });
});
