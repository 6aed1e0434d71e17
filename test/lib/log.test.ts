import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { codeArguments, sourceUrl } from '../child-program.js';

/** What a process that runs this code writes to its two outputs. */
function outputOf(code: string): { stdout: string; stderr: string } {
  const program = `import { createLog } from '${sourceUrl('src/lib/log')}';\n${code}`;
  return spawnSync(process.execPath, codeArguments(program), { encoding: 'utf8' });
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
