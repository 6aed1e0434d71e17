import assert from 'node:assert/strict';
import type { Blocker } from '../../src/migration/engine.js';

/** What a preflight has found, each with the shard before it. */
function messages(blockers: readonly Blocker[]): string[] {
  return blockers.map(({ shard, message }) => `${shard}: ${message}`);
}

/** One message for each pattern, and each with a remedy that says something. */
export function assertFound(blockers: readonly Blocker[], patterns: readonly RegExp[]): void {
  const found = messages(blockers);
  for (const pattern of patterns)
    assert.ok(
      found.some((message) => pattern.test(message)),
      `${pattern}\n${found.join('\n')}`,
    );
  assert.equal(found.length, patterns.length, found.join('\n'));
  assert.ok(blockers.every((blocker) => blocker.remedy.length > 10));
}
