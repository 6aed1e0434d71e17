import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shortText } from '../../src/lib/short-texts.js';

test('a text that is remembered is what its bytes say, however many others have had its place', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom('', 'rf_1', 'SELECT 1', 'SELECT 2', 'ä', 'x'.repeat(32), 'x'.repeat(33)).map(encode),
    // All have one sum.
    fc
      .array(fc.constantFrom('Aa', 'BB'), { minLength: 5, maxLength: 5 })
      .map((pairs) => encode(pairs.join(''))),
  );
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 50 }), fc.nat({ max: 5 }), (texts, before) => {
      for (const text of texts) {
        const frame = Buffer.concat([Buffer.alloc(before, 0x7a), text, Buffer.of(0, 0x7a)]);
        assert.equal(shortText(frame, before, before + text.length), Buffer.from(text).toString('utf8'));
      }
    }),
  );
});

test('a remembered text does not change with the memory it was read from', () => {
  const frame = Buffer.from('S_remembered');
  assert.equal(shortText(frame, 0, frame.length), 'S_remembered');
  frame.fill('x');
  assert.equal(shortText(frame, 0, frame.length), 'x'.repeat(12));
  assert.equal(shortText(Buffer.from('S_remembered'), 0, 12), 'S_remembered');
});

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
