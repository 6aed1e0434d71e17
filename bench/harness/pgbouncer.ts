import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../src/demo/free-port.js';
import { GuardedProcess } from '../../src/demo/guarded-process.js';
import { unprivilegedUser } from '../../src/demo/run-as.js';
import { runSql } from '../../test/cluster.js';
import type { Bench } from './bench.js';
import { environment } from './run-program.js';
import type { Target } from './target.js';
import { untilListening } from './until-listening.js';

export interface PgbouncerOptions {
  /** The server behind it. */
  readonly serverPort: number;
  readonly database: string;
  readonly poolSize: number;
  readonly poolMode?: 'transaction' | 'session';
  /** Users beside `postgres`, who is trusted: they log in by SCRAM. */
  readonly passwords?: Readonly<Record<string, string>>;
  /** PEM files that clients see. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface Pgbouncer extends Target {
  readonly processId: number;
  end(): Promise<void>;
}

/** One PgBouncer process in front of one server, ended with the scenario. */
export async function startPgbouncer(bench: Bench, options: PgbouncerOptions): Promise<Pgbouncer> {
  const folder = await bench.makeFolder('pgbouncer');
  const port = await freePort();
  await writeFiles(folder, port, options);
  const runAs = unprivilegedUser();
  const bouncer = await GuardedProcess.start(['pgbouncer', '-q', join(folder, 'pgbouncer.ini')], {
    folder,
    logFile: 'pgbouncer.log',
    signal: 'KILL',
    env: environment(),
    runAs,
  });
  const end = () => bouncer.end('SIGKILL');
  bench.atEnd(end);
  await untilListening(port, bouncer, join(folder, 'pgbouncer.log'));
  const console = `postgres://postgres@127.0.0.1:${port}/pgbouncer`;
  return {
    port,
    database: options.database,
    processId: bouncer.processId,
    counter: {
      counts: 'transactions',
      read: async () => {
        const rows = await runSql(console, 'SHOW STATS_TOTALS');
        return Number(rows.find((row) => row['database'] === options.database)?.['xact_count'] ?? 0);
      },
    },
    end,
  };
}

async function writeFiles(folder: string, port: number, options: PgbouncerOptions): Promise<void> {
  const passwords = Object.entries({ postgres: '', ...options.passwords });
  await writeFile(
    join(folder, 'users.txt'),
    passwords.map(([name, password]) => `"${name}" "${password}"\n`).join(''),
  );
  await writeFile(
    join(folder, 'hba.conf'),
    'host all postgres 127.0.0.0/8 trust\nhost all all 127.0.0.0/8 scram-sha-256\n',
  );
  const { tls } = options;
  if (tls !== undefined) {
    await copyFile(tls.key, join(folder, 'server.key'));
    await copyFile(tls.cert, join(folder, 'server.crt'));
  }
  await writeFile(join(folder, 'pgbouncer.ini'), iniOf(folder, port, options));
}

function iniOf(folder: string, port: number, options: PgbouncerOptions): string {
  const { database, serverPort, poolMode = 'transaction', poolSize, tls } = options;
  const settings: Readonly<Record<string, string | number>> = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'hba',
    auth_hba_file: join(folder, 'hba.conf'),
    auth_file: join(folder, 'users.txt'),
    admin_users: 'postgres',
    pool_mode: poolMode,
    default_pool_size: poolSize,
    max_client_conn: 20_000,
    ignore_startup_parameters: 'extra_float_digits',
    log_connections: 0,
    log_disconnections: 0,
    ...(tls === undefined
      ? {}
      : {
          client_tls_sslmode: 'allow',
          client_tls_key_file: join(folder, 'server.key'),
          client_tls_cert_file: join(folder, 'server.crt'),
        }),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return [
    '[databases]',
    `${database} = user=postgres host=127.0.0.1 port=${serverPort} dbname=${database}`,
    '[pgbouncer]',
    ...lines,
    '',
  ].join('\n');
}
