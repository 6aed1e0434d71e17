import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** What a process that runs this code writes to its two outputs. */
function outputOf(code: string): { stdout: string; stderr: string } {
  const log = new URL('../../src/lib/log.ts', import.meta.url).href;
  const program = `import { createLog } from ${JSON.stringify(log)};\n${code}`;
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program];
  return spawnSync(process.execPath, args, { encoding: 'utf8' });
}

test('the log writes one JSON line per event to standard error, with the facts of its parents', () => {
  const { stdout, stderr } = outputOf(
    "const log = createLog('info'); log.child({ shard: 'a' }).warn({ attempts: 2 }, 'it is late'); log.debug({}, 'unseen');",
  );
  assert.equal(stdout, '');
  const lines = stderr.trim().split('\n');
  assert.equal(lines.length, 1);
  const { shard, attempts, msg } = JSON.parse(lines[0]!);
  assert.deepEqual([shard, attempts, msg], ['a', 2, 'it is late']);
});

test('the log shows no password and no URL, which may hold one', () => {
  const { stderr } = outputOf(
    "createLog('debug').info({ password: 'geheim', target: { url: 'postgres://u:geheim@h/d', password: 'geheim' } }, 'x');",
  );
  assert.match(stderr, /not shown/);
  assert.doesNotMatch(stderr, /geheim/);
});

test('a silent log is silent', () => {
  assert.equal(outputOf("createLog('silent').error({}, 'x');").stderr, '');
});
