import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../src/demo/free-port.js';
import { GuardedProcess } from '../src/demo/guarded-process.js';
import { installedBinaries } from '../src/demo/postgres-binaries.js';
import { type PostgresServer, startPostgresServers } from '../src/demo/postgres-server.js';
import { ProxyProcess } from '../src/demo/proxy-process.js';

/**
 * pgbench -S through Ringferry and through PgBouncer, side by side: one process each, same pool size, same server, runs
 * interleaved, medians and their ratio. `direct` is the server itself, for scale.
 */
const CLIENTS = Number(process.env['BENCH_CLIENTS'] ?? 32);
const POOL = Number(process.env['BENCH_POOL'] ?? 20);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const MODES = (process.env['BENCH_MODES'] ?? 'simple,extended,prepared').split(',');

interface Way {
  readonly name: string;
  readonly port: number;
}

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((done, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.once('error', reject);
    child.once('exit', (status) =>
      status === 0 ? done(out) : reject(new Error(`${program} ended with ${status}: ${err}`)),
    );
  });
}

async function tps(way: Way, mode: string, clients: number, seconds: number): Promise<number> {
  const args = [
    '-h',
    '127.0.0.1',
    '-p',
    String(way.port),
    '-U',
    'postgres',
    '-S',
    '-n',
    '-M',
    mode,
    '-c',
    String(clients),
    '-j',
    '1',
    '-T',
    String(seconds),
    'postgres',
  ];
  const out = await run('pgbench', args);
  return Number(/tps = ([\d.]+)/.exec(out)?.[1] ?? Number.NaN);
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function startPgBouncer(
  folder: string,
  server: PostgresServer,
): Promise<{ port: number; process: GuardedProcess } | undefined> {
  const port = await freePort();
  const config = `[databases]\npostgres = host=127.0.0.1 port=${server.port} dbname=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nauth_type = any\nauth_file =\nunix_socket_dir =\npool_mode = transaction\ndefault_pool_size = ${POOL}\nmax_client_conn = 1000\nlogfile = /dev/null\nlog_connections = 0\nlog_disconnections = 0\nuser = nobody\n`;
  await writeFile(
    join(folder, 'pgbouncer.ini'),
    config.replace('postgres = host', 'postgres = user=postgres host'),
  );
  try {
    await run('pgbouncer', ['--version']);
  } catch {
    return undefined;
  }
  const bouncer = await GuardedProcess.start(['pgbouncer', '-q', join(folder, 'pgbouncer.ini')], {
    folder,
    logFile: 'pgbouncer.log',
    signal: 'KILL',
  });
  await sleep(500);
  return { port, process: bouncer };
}

async function startRingferry(folder: string, server: PostgresServer): Promise<ProxyProcess> {
  const config = {
    users: [{ name: 'postgres', auth: 'trust' }],
    databases: {
      postgres: {
        pool: { mode: 'transaction', size: POOL },
        shards: { a: { url: server.url('postgres') } },
        home: 'a',
        // Parsing and routing are on: the accounts are a sharded table.
        tables: { pgbench_accounts: { key: 'aid' } },
      },
    },
    log: { level: 'silent' },
  };
  const ports = { postgres: await freePort(), admin: await freePort(), http: await freePort() };
  const proxy = new ProxyProcess({ folder, ports, config }, [process.execPath, resolve('dist/cli/main.js')]);
  await proxy.start();
  return proxy;
}

async function measure(ways: readonly Way[]): Promise<void> {
  for (const clients of [CLIENTS, 1]) {
    for (const mode of MODES) {
      const results = new Map<string, number[]>(ways.map((way) => [way.name, []]));
      for (let round = 0; round < ROUNDS; round++) {
        // PgBouncer before 1.21 loses named statements between transactions.
        for (const way of ways) {
          const result = await tps(way, mode, clients, SECONDS).catch(() => Number.NaN);
          results.get(way.name)!.push(result);
        }
      }
      const medians = new Map([...results].map(([name, values]) => [name, median(values)]));
      const ratio = medians.get('ringferry')! / medians.get('pgbouncer')!;
      const cells = [...medians].map(
        ([name, value]) => `${name} ${Number.isNaN(value) ? '-' : Math.round(value).toLocaleString('en-US')}`,
      );
      process.stdout.write(
        `${String(clients).padStart(4)} clients  ${mode.padEnd(10)} ${cells.map((cell) => cell.padEnd(22)).join('')} ${Number.isNaN(ratio) ? '' : `× ${ratio.toFixed(2)}`}\n`,
      );
    }
  }
}

const binaries = installedBinaries(15);
if (binaries === undefined)
  throw new Error('bench needs PostgreSQL 15 with pgbench: apt-get install postgresql pgbouncer');
const folder = await mkdtemp(join(tmpdir(), 'ringferry-bench-'));
const [server] = await startPostgresServers({ binaries, count: 1 });
const started: { end(signal: NodeJS.Signals): Promise<void> }[] = [];
try {
  await run('pgbench', [
    '-h',
    '127.0.0.1',
    '-p',
    String(server!.port),
    '-U',
    'postgres',
    '-i',
    '-q',
    '-s',
    '10',
    'postgres',
  ]);
  const proxy = await startRingferry(folder, server!);
  started.push(proxy);
  const ways: Way[] = [{ name: 'direct', port: server!.port }];
  const bouncer = await startPgBouncer(await mkdtemp(join(folder, 'pgbouncer-')), server!);
  if (bouncer === undefined)
    process.stdout.write('pgbouncer is not installed: no comparison (apt-get install pgbouncer)\n');
  else {
    started.push(bouncer.process);
    ways.push({ name: 'pgbouncer', port: bouncer.port });
  }
  ways.push({ name: 'ringferry', port: proxy.ports.postgres });
  process.stdout.write(
    `pgbench -S, scale 10, pool ${POOL}, ${ROUNDS} rounds of ${SECONDS} s, medians, transactions/s; ${availableParallelism()} cores\n`,
  );
  await measure(ways);
} finally {
  for (const each of started) await each.end('SIGKILL');
  await server!.stop();
  await rm(folder, { recursive: true, force: true });
}
