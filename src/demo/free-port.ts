import { createServer } from 'node:net';
import { OperatingError } from '../lib/errors.js';

/** Below the ports that the kernel gives to outgoing connections, so that no client of ours takes one in between. */
const LOWEST = 10_240;
const HIGHEST = 32_000;

const given = new Set<number>();

/** A port of 127.0.0.1 that nobody listens on right now, never the same twice. `RINGFERRY_PORTS=20000-20999` narrows the choice. */
export async function freePort(): Promise<number> {
  const [low = LOWEST, high = HIGHEST] = (process.env['RINGFERRY_PORTS'] ?? '')
    .split('-')
    .filter(Boolean)
    .map(Number);
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = low + Math.floor(Math.random() * (high - low + 1));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new OperatingError('internal', `no free port between ${low} and ${high}`);
}

/** Nobody listens on this port of 127.0.0.1 right now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
