import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type MysqlInstallation,
  type MysqlServer,
  type MysqlServersOptions,
  startMysqlServers,
} from '../src/demo/mysql-server.js';
import type { After } from './cluster.js';

const run = promisify(execFile);
const FETCHED = new URL('../.cache/mysql-server/', import.meta.url).pathname;
const LIBRARIES = join(FETCHED, 'usr/lib/x86_64-linux-gnu');

/** Why tests that need a genuine MySQL of today are left out; undefined when there is one. */
export const noGenuineMysql = existsSync(FETCHED)
  ? undefined
  : 'no genuine MySQL could be fetched (scripts/genuine-mysql.js)';

/** Runs with the loader and the libraries that came with it. */
export const GENUINE_MYSQL: MysqlInstallation = {
  title: 'MySQL',
  command: [
    join(FETCHED, 'usr/lib64/ld-linux-x86-64.so.2'),
    '--library-path',
    `${LIBRARIES}:${LIBRARIES}/mysql/private`,
    join(FETCHED, 'usr/sbin/mysqld'),
    '--no-defaults',
    `--basedir=${join(FETCHED, 'usr')}`,
    `--lc-messages-dir=${join(FETCHED, 'usr/share/mysql')}`,
    `--character-sets-dir=${join(FETCHED, 'usr/share/mysql/charsets')}`,
    `--plugin-dir=${join(FETCHED, 'usr/lib/mysql/plugin')}`,
    '--secure-file-priv=',
  ],
  settings: () => ({ mysqlx: '0', 'gtid-mode': 'ON', 'enforce-gtid-consistency': 'ON' }),
  initialize: async (folder, runAs) => {
    const root = join(folder, 'root.sql');
    await writeFile(
      root,
      "CREATE USER root@'%' IDENTIFIED BY '';\nGRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n",
      { mode: 0o644 },
    );
    const [program, ...args] = GENUINE_MYSQL.command;
    await run(
      program,
      [...args, '--initialize-insecure', `--datadir=${join(folder, 'data')}`, `--init-file=${root}`],
      { ...runAs, cwd: folder },
    );
  },
};

/** Real servers for one test (or `before` hook); `after` stops them. */
export async function startGenuineMysql(
  after: After,
  options: Partial<MysqlServersOptions> = {},
): Promise<MysqlServer[]> {
  const servers = await startMysqlServers(GENUINE_MYSQL, { count: 1, ...options });
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  return servers;
}
