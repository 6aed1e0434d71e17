import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuardedProcess } from '../../src/demo/guarded-process.js';

const DEADLINE_MS = 20_000;

/** Resolves when the process takes connections on this port; rejects with the end of its log. */
export async function untilListening(port: number, started: GuardedProcess, log: string): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (Date.now() < deadline && !started.hasEnded) {
    if (await takesConnections(port)) return;
    await sleep(20);
  }
  const said = await readFile(log, 'utf8').catch(() => '');
  throw new Error(`nothing listens on port ${port}: ${said.trim().slice(-500)}`);
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
