import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeArguments, sourceUrl } from '../child-program.js';

/** Starts a guarded `sleep`, tells its process id, and stays. */
const OWNER = (folder: string) => `
  import { GuardedProcess } from '${sourceUrl('src/demo/guarded-process')}';
  const guarded = await GuardedProcess.start(['sleep', '600'], { folder: '${folder}', logFile: 'log', signal: 'TERM' });
  console.log(guarded.processId);
  setInterval(() => {}, 1000);
`;

function isThere(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}

test('a frozen process ends when its owner dies, too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-guard-'));
  const owner = spawn(process.execPath, codeArguments(OWNER(folder)), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [told] = (await once(owner.stdout, 'data')) as [Buffer];
  const processId = Number(told.toString());
  try {
    process.kill(processId, 'SIGSTOP');
    owner.kill('SIGKILL');
    const deadline = Date.now() + 30_000;
    while (isThere(processId)) {
      assert.ok(Date.now() < deadline, 'it is still there, frozen');
      await sleep(20);
    }
  } finally {
    if (isThere(processId)) process.kill(processId, 'SIGKILL');
  }
});
