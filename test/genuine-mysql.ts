import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { genuineMysql } from '../scripts/genuine-mysql.js';
import {
  type MysqlInstallation,
  type MysqlServer,
  type MysqlServersOptions,
  startMysqlServers,
} from '../src/demo/mysql-server.js';
import type { After } from './cluster.js';
import { templateFolder } from './templates.js';

const run = promisify(execFile);
const fetched = genuineMysql();

/** Why tests that need a genuine MySQL of today are left out; undefined when there is one. */
export const noGenuineMysql =
  fetched === undefined ? 'no genuine MySQL could be fetched (scripts/genuine-mysql.js)' : undefined;

export const GENUINE_MYSQL: MysqlInstallation = {
  title: 'MySQL',
  command: fetched?.command ?? [''],
  settings: () => ({
    mysqlx: '0',
    'gtid-mode': 'ON',
    'enforce-gtid-consistency': 'ON',
    'performance-schema': '1',
  }),
  initialize: async (folder, runAs) => {
    await run('cp', ['-R', fetched!.data, folder], { ...runAs, cwd: folder });
  },
};

/** Real servers for one test (or `before` hook); `after` stops them. */
export async function startGenuineMysql(
  after: After,
  options: Partial<MysqlServersOptions> = {},
): Promise<MysqlServer[]> {
  const servers = await startMysqlServers(GENUINE_MYSQL, {
    count: 1,
    template: templateFolder('mysql'),
    ...options,
  });
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  return servers;
}
