import { join } from 'node:path';
import { freePort } from '../../src/demo/free-port.js';
import { GuardedProcess } from '../../src/demo/guarded-process.js';
import type { Bench } from './bench.js';
import { untilListening } from './until-listening.js';

const FORWARDER = new URL('forwarder.ts', import.meta.url).pathname;

/** A port behind which the server seems so many milliseconds away in each direction; ended with the scenario. */
export async function startDelay(bench: Bench, serverPort: number, delayMs: number): Promise<number> {
  const folder = await bench.makeFolder('delay');
  const port = await freePort();
  const tsx = import.meta.resolve('tsx');
  const forwarder = await GuardedProcess.start(
    [process.execPath, '--import', tsx, FORWARDER, String(port), String(serverPort), String(delayMs)],
    { folder, logFile: 'forwarder.log', signal: 'KILL' },
  );
  bench.atEnd(() => forwarder.end('SIGKILL'));
  await untilListening(port, forwarder, join(folder, 'forwarder.log'));
  return port;
}
