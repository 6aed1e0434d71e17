import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { OperatingError } from '../../src/lib/errors.js';
import { backendLimits, Framer, frontendLimits } from '../../src/postgres/framer.js';

const limits = () => backendLimits();

function message(code: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header[0] = code.charCodeAt(0);
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** Messages of all kinds and sizes, and a way to cut the stream of them. */
const streams = fc
  .array(
    fc.record({
      code: fc.constantFrom('D', 'd', 'T', 'C', 'Z', 'N'),
      body: fc.uint8Array({ maxLength: 60 }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .chain((messages) => {
    const frames = messages.map(({ code, body }) => message(code, Buffer.from(body)));
    const bytes = Buffer.concat(frames);
    return fc.record({
      frames: fc.constant(frames),
      bytes: fc.constant(bytes),
      cuts: fc.array(fc.nat({ max: bytes.length }), { maxLength: 15 }),
    });
  });

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => Buffer.from(bytes.subarray(at[index], end)));
}

/** Whole messages found, with parts joined again. */
function read(
  chunks: readonly Buffer[],
  streamsRows: boolean,
  pausing: boolean,
): { frames: Buffer[]; most: number } {
  const framer = new Framer(limits());
  framer.streamsRows = streamsRows;
  const frames: Buffer[] = [];
  let parts: Buffer[] = [];
  let most = 0;
  const drain = () => {
    while (framer.next()) {
      assert.equal(framer.isFirst, parts.length === 0);
      const part = framer.buffer.subarray(framer.start, framer.end);
      assert.ok(part.length > 0);
      most = Math.max(most, part.length);
      parts.push(part);
      if (!framer.isLast) continue;
      frames.push(Buffer.concat(parts));
      assert.equal(frames.at(-1)![0], framer.code);
      parts = [];
    }
  };
  for (const chunk of chunks) {
    framer.push(chunk);
    if (!pausing) drain();
  }
  drain();
  assert.equal(framer.waitingBytes, 0);
  return { frames, most };
}

describe('the framer', () => {
  test('finds the same messages however the stream is cut', () => {
    fc.assert(
      fc.property(streams, fc.boolean(), fc.boolean(), ({ frames, bytes, cuts }, streamsRows, pausing) => {
        assert.deepEqual(read(pieces(bytes, cuts), streamsRows, pausing).frames, frames);
      }),
      { numRuns: 500 },
    );
  });

  test('finds them when every byte comes alone', () => {
    fc.assert(
      fc.property(streams, fc.boolean(), ({ frames, bytes }, streamsRows) => {
        const single = [...bytes].map((byte) => Buffer.of(byte));
        assert.deepEqual(read(single, streamsRows, false).frames, frames);
      }),
      { numRuns: 100 },
    );
  });

  test('hands out slices, not copies, of messages that lie in one chunk', () => {
    const chunk = Buffer.concat([message('Z', Buffer.from('I')), message('D', Buffer.alloc(100))]);
    const framer = new Framer(limits());
    framer.push(chunk);
    while (framer.next()) assert.equal(framer.buffer, chunk);
  });

  test('never holds more of a large row than came in one chunk when rows are streamed', () => {
    const row = message('D', Buffer.alloc(10_000_000));
    const { frames, most } = read(
      pieces(
        row,
        Array.from({ length: 200 }, (_, n) => n * 50_000),
      ),
      true,
      false,
    );
    assert.equal(frames[0]!.length, row.length);
    assert.ok(most <= 50_005);
  });

  test('says of any garbage that it is an error, or waits for more, and never throws anything else', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 10 }), (chunks) => {
        const framer = new Framer(frontendLimits(1000));
        try {
          for (const chunk of chunks) {
            framer.push(Buffer.from(chunk));
            while (framer.next()) assert.ok(framer.end - framer.start <= 1001);
          }
        } catch (thrown) {
          assert.ok(thrown instanceof OperatingError);
          assert.ok(['protocol-violation', 'limit-exceeded'].includes(thrown.code));
        }
        assert.ok(framer.waitingBytes <= 1001 + 400);
      }),
      { numRuns: 1000 },
    );
  });

  test('refuses a length over the limit of its type before a byte of the body has come', () => {
    const framer = new Framer(frontendLimits(1000));
    framer.push(Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]));
    assert.throws(() => framer.next(), /longer than allowed/);
  });
});
