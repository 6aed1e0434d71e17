import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { asError, OperatingError } from '../lib/errors.js';
import {
  type MysqlInstallation,
  type MysqlServer,
  type MysqlServersOptions,
  startMysqlServers,
} from './mysql-server.js';
import type { RunAs } from './run-as.js';

/** Where Debian and others put the server; undefined when MariaDB is not installed. */
export function mariadbBinaries(): { readonly server: string; readonly install: string } | undefined {
  for (const folder of ['/usr', '/usr/local', '/opt/homebrew']) {
    const server = ['sbin/mariadbd', 'bin/mariadbd', 'sbin/mysqld']
      .map((name) => join(folder, name))
      .find((path) => existsSync(path));
    const install = join(folder, 'bin/mariadb-install-db');
    if (server !== undefined && existsSync(install)) return { server, install };
  }
  return undefined;
}

/** Starts MariaDB servers. Their superuser is `root` without a password, over TCP too. Throws `not-ready` when MariaDB is not installed. */
export async function startMariadbServers(options: MysqlServersOptions): Promise<MysqlServer[]> {
  const binaries = mariadbBinaries();
  if (binaries === undefined)
    throw new OperatingError('not-ready', 'MariaDB is not installed', {
      hint: 'Install its server first (Debian, Ubuntu: apt-get install mariadb-server; macOS: brew install mariadb).',
    });
  const installation: MysqlInstallation = {
    title: 'MariaDB',
    command: [binaries.server, '--no-defaults'],
    settings: (serverId) => ({
      'gtid-domain-id': String(serverId),
      'gtid-strict-mode': '1',
      'collation-server': 'utf8mb4_general_ci',
      'innodb-log-file-size': '96M',
    }),
    initialize: (folder, runAs) => initialize(folder, binaries.install, runAs),
  };
  return startMysqlServers(installation, options);
}

const run = promisify(execFile);

async function initialize(folder: string, program: string, runAs: RunAs | undefined): Promise<void> {
  const args = [
    '--no-defaults',
    `--datadir=${join(folder, 'data')}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--innodb-log-file-size=96M',
  ];
  await run(program, args, { ...runAs, cwd: folder, env: { ...process.env, TMPDIR: folder } }).catch(
    (error: unknown) => {
      throw new OperatingError('internal', `mariadb-install-db failed: ${asError(error).message}`, {
        cause: error,
      });
    },
  );
}
