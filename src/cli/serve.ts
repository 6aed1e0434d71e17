import { formatAddress } from '../config/address.js';
import type { Config, DatabaseConfig } from '../config/config.js';
import { ConfigError, formatMistake } from '../config/mistakes.js';
import type { RunningServer } from '../server.js';
import { CommandFailure, type Io, toJson } from './io.js';
import { type CommonOptions, readConfig, requireConfigPath } from './target.js';

/** SIGTERM waits this long for open transactions: less than the 30 s that orchestrators give. */
const TERM_DRAIN_MS = 25_000;
const INTERRUPT_DRAIN_MS = 2_000;

/** The signals of this process, so that tests can replace them. */
export interface Signals {
  on(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2', listener: () => void): unknown;
}

/** `serve`: runs until it is told to end. SIGTERM drains, SIGINT drains shortly, a second one ends at once, SIGHUP reloads, SIGUSR2 renews the workers. */
export async function runServe(
  io: Io,
  options: CommonOptions & { readonly version: string },
  signals: Signals,
): Promise<number> {
  const path = requireConfigPath(options, io);
  const { config, warnings } = readConfig(path, io, `ringferry check -c ${path} explains them.`);
  for (const warning of warnings) io.err(`warning: ${formatMistake(path, warning)}\n`);
  return new Promise((resolve, reject) => {
    const ended = { resolve, reject };
    serveUntil(io, { ...options, path, config }, signals, ended).catch(reject);
  });
}

interface Served {
  readonly path: string;
  readonly config: Config;
  readonly version: string;
  readonly json?: boolean;
}

/** Who hears that the server has ended, and with which status. */
interface Ended {
  resolve(status: number): void;
  reject(error: unknown): void;
}

async function serveUntil(io: Io, served: Served, signals: Signals, ended: Ended): Promise<void> {
  const { path, config, version } = served;
  const server = await start(
    config,
    () => readConfig(path, io).config,
    () => ended.resolve(0),
  );
  io.out(
    served.json ? `${toJson({ version, listening: server.addresses })}\n` : greeting(config, server, version),
  );
  let isEnding = false;
  const end = (drainMs: number) => {
    // The second signal does not wait: whoever sends it has seen the first one not be enough.
    if (isEnding) return ended.resolve(1);
    isEnding = true;
    io.err('ending: no new clients; open transactions may finish …\n');
    server.close({ drainMs }).then(() => ended.resolve(0), ended.reject);
  };
  signals.on('SIGTERM', () => end(TERM_DRAIN_MS));
  signals.on('SIGINT', () => end(INTERRUPT_DRAIN_MS));
  signals.on('SIGHUP', () => void reload(io, path, server));
  signals.on('SIGUSR2', () => void renewWorkers(io, server));
}

async function start(
  config: Config,
  loadAgain: () => Config,
  onShutdown: () => void,
): Promise<RunningServer> {
  const { startServer } = await import('../server.js');
  return startServer(config, { loadConfig: async () => loadAgain(), onShutdown });
}

async function reload(io: Io, path: string, server: RunningServer): Promise<void> {
  try {
    const waiting = await server.reload(readConfig(path, io).config);
    io.err(
      waiting.length === 0
        ? `${path} read again\n`
        : `${path} read again; these wait for a restart: ${waiting.join(', ')}\n`,
    );
  } catch (error) {
    // The configuration before stays in force: a mistake must not end a running server.
    const isMistake = error instanceof CommandFailure && error.cause instanceof ConfigError;
    io.err(
      `${isMistake ? (error as Error).message : `reload failed: ${(error as Error).message}`}\nthe configuration before stays in force\n`,
    );
  }
}

async function renewWorkers(io: Io, server: RunningServer): Promise<void> {
  try {
    await server.renewWorkers({ drainMs: TERM_DRAIN_MS });
    io.err('all workers were renewed\n');
  } catch (error) {
    io.err(`the workers were not renewed: ${(error as Error).message}\n`);
  }
}

function greeting(config: Config, { addresses }: RunningServer, version: string): string {
  const first = (engine: DatabaseConfig['engine']) =>
    Object.values(config.databases).find((database) => database.engine === engine && database.name !== '*')
      ?.name ?? 'DATABASE';
  const lines = [`Ringferry ${version}`];
  if (addresses.postgres)
    lines.push(
      `  Postgres   ${formatAddress(addresses.postgres).padEnd(22)} psql -h ${addresses.postgres.host} -p ${addresses.postgres.port} ${first('postgres')}`,
    );
  if (addresses.mysql)
    lines.push(
      `  MySQL      ${formatAddress(addresses.mysql).padEnd(22)} mariadb -h ${addresses.mysql.host} -P ${addresses.mysql.port} ${first('mysql')}`,
    );
  if (addresses.admin)
    lines.push(
      `  control    ${formatAddress(addresses.admin).padEnd(22)} psql -h ${addresses.admin.host} -p ${addresses.admin.port} ringferry`,
    );
  if (addresses.http) lines.push(`  dashboard  http://${formatAddress(addresses.http)}/`);
  return `${lines.join('\n')}\n`;
}
