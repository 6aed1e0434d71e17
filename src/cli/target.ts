import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatAddress, parseAddress } from '../config/address.js';
import type { HostPort } from '../config/config.js';
import { type LoadedConfig, loadConfig } from '../config/load.js';
import { ConfigError } from '../config/mistakes.js';
import { CommandFailure, type Io } from './io.js';

/** Options that every command has. */
export interface CommonOptions {
  readonly config?: string;
  readonly admin?: string;
  readonly json?: boolean;
}

/** The control port to talk to. */
export interface Target {
  readonly address: HostPort;
  readonly password: string | undefined;
}

const USUAL_FILES = ['ringferry.yaml', 'config/ringferry.yaml'];
const DEFAULT_ADDRESS: HostPort = { host: '127.0.0.1', port: 6433 };

/** The control port from `--admin`, else from the configuration, else the usual one. */
export function findTarget(options: CommonOptions, io: Io): Target {
  const password = io.env['RINGFERRY_ADMIN_PASSWORD'];
  const path = findConfigPath(options, io);
  if (options.admin !== undefined) {
    const address = parseAddress(options.admin);
    if (address === undefined)
      throw new CommandFailure(`"${options.admin}" is not host:port`, 'Write --admin 127.0.0.1:6433.', {
        status: 2,
      });
    return { address, password: password ?? passwordFrom(path, address, io) };
  }
  if (path === undefined) return { address: DEFAULT_ADDRESS, password };
  const { config } = readConfig(path, io, 'Or say where the control port is: --admin HOST:PORT.');
  if (config.listen.admin === undefined)
    throw new CommandFailure(
      `${path} turns the control port off (listen.admin: false)`,
      'Give it an address, e.g. admin: 127.0.0.1:6433.',
    );
  return { address: reachable(config.listen.admin), password: password ?? config.admin.password };
}

/** With `--admin` the configuration is only asked for the password, and only if it is of the same control port. */
function passwordFrom(path: string | undefined, address: HostPort, io: Io): string | undefined {
  if (path === undefined) return undefined;
  try {
    const { config } = loadConfig(path, io.env);
    return config.listen.admin?.port === address.port ? config.admin.password : undefined;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/** An address to listen on as one to connect to. */
function reachable({ host, port }: HostPort): HostPort {
  if (host === '0.0.0.0' || host === '*') return { host: '127.0.0.1', port };
  return host === '::' ? { host: '::1', port } : { host, port };
}

/** The path of `-c`, of RINGFERRY_CONFIG, or of a file at a usual place. */
export function findConfigPath(options: CommonOptions, io: Io): string | undefined {
  const given = options.config ?? io.env['RINGFERRY_CONFIG'];
  if (given !== undefined && given !== '') return given;
  return USUAL_FILES.find((file) => existsSync(resolve(io.cwd, file)));
}

export function requireConfigPath(options: CommonOptions, io: Io): string {
  const path = findConfigPath(options, io);
  if (path === undefined) {
    throw new CommandFailure(
      'no configuration was given',
      `Write -c FILE. (There is no ${USUAL_FILES.join(' or ')} here.) config/ringferry.example.yaml is one to start from.`,
      { status: 2 },
    );
  }
  return path;
}

/** Loads the configuration; its mistakes become the failure of the command. */
export function readConfig(path: string, io: Io, hint?: string): LoadedConfig {
  try {
    return loadConfig(path, io.env);
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandFailure(error.message, hint, { cause: error });
    throw error;
  }
}

export function targetName({ address }: Target): string {
  return formatAddress(address);
}
