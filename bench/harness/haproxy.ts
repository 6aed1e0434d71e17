import { writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../src/demo/free-port.js';
import { GuardedProcess } from '../../src/demo/guarded-process.js';
import type { Bench } from './bench.js';
import { environment } from './run-program.js';
import type { Target } from './target.js';
import { untilListening } from './until-listening.js';

/** One HAProxy process with one thread in TCP mode in front of one server, ended with the scenario. It counts connections. */
export async function startHaproxy(bench: Bench, serverPort: number, database: string): Promise<Target> {
  const folder = await bench.makeFolder('haproxy');
  const port = await freePort();
  const socket = join(folder, 'stats');
  await writeFile(
    join(folder, 'haproxy.cfg'),
    `global
  nbthread 1
  stats socket ${socket}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen db
  bind 127.0.0.1:${port}
  server db 127.0.0.1:${serverPort}
`,
  );
  const haproxy = await GuardedProcess.start(['haproxy', '-db', '-f', join(folder, 'haproxy.cfg')], {
    folder,
    logFile: 'haproxy.log',
    signal: 'KILL',
    env: environment(),
  });
  bench.atEnd(() => haproxy.end('SIGKILL'));
  await untilListening(port, haproxy, join(folder, 'haproxy.log'));
  return {
    port,
    database,
    processId: haproxy.processId,
    counter: { counts: 'connections', read: () => connectionsOf(socket) },
  };
}

/** `show stat`: lines of CSV whose head names the columns (HAProxy's Management Guide, 9.1). */
async function connectionsOf(path: string): Promise<number> {
  let text = '';
  const socket = createConnection(path);
  socket.end('show stat\n');
  for await (const chunk of socket) text += String(chunk);
  const [head, ...rows] = text
    .replace(/^# /, '')
    .split('\n')
    .map((line) => line.split(','));
  const total = head!.indexOf('stot');
  return Number(rows.find(([proxy, service]) => proxy === 'db' && service === 'FRONTEND')?.[total]);
}
