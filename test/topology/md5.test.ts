import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { shortMd5 } from '../../src/topology/md5.js';
import { tokenOf } from '../../src/topology/token.js';

test('the short way to a token gives what the long way gives, for every length that it takes', () => {
  for (let length = 0; length < 80; length++) {
    for (const text of [
      'a'.repeat(length),
      '\u007f'.repeat(length),
      Array.from({ length }, (_, index) => String.fromCharCode((index * 37 + length) % 128)).join(''),
    ]) {
      const expected = createHash('md5').update(text).digest().readBigInt64BE(0);
      assert.equal(shortMd5(text), length <= 55 ? expected : undefined);
      assert.equal(tokenOf(text), expected);
    }
  }
  for (let number = -5_000; number < 5_000; number++)
    assert.equal(
      shortMd5(String(number)),
      createHash('md5').update(String(number)).digest().readBigInt64BE(0),
    );
});

test('texts outside of ASCII go the long way', () => {
  assert.equal(shortMd5('é'), undefined);
  assert.equal(tokenOf('é😀'), createHash('md5').update('é😀', 'utf8').digest().readBigInt64BE(0));
});
