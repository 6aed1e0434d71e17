// The programs that the tests and the benchmarks drive, and how Debian's packages bring those that are missing.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Program → package. Debian's Postgres is the second version that the tests run against. */
const PACKAGES = {
  psql: 'postgresql',
  pgbench: 'postgresql-contrib',
  'initdb and postgres': 'postgresql',
  mariadbd: 'mariadb-server',
  'mariadb-install-db': 'mariadb-server',
  mariadb: 'mariadb-client',
  sysbench: 'sysbench',
  pgbouncer: 'pgbouncer',
  haproxy: 'haproxy',
};

/** The others are for the benchmarks only. */
const FOR_TESTS = Object.keys(PACKAGES).filter((program) => !['pgbouncer', 'haproxy'].includes(program));

/** Programs that Debian installs outside of everybody's PATH. */
const OTHER_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/bin'];
const POSTGRES_FOLDER = '/usr/lib/postgresql';

function isThere(program) {
  if (program === 'initdb and postgres') return hasPostgresServer();
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...OTHER_FOLDERS];
  return folders.some((folder) => folder !== '' && existsSync(join(folder, program)));
}

/** Elsewhere than on Debian the tests use the Postgres from npm. */
function hasPostgresServer() {
  if (!hasApt()) return true;
  if (!existsSync(POSTGRES_FOLDER)) return false;
  return readdirSync(POSTGRES_FOLDER).some((version) =>
    ['initdb', 'postgres'].every((program) => existsSync(join(POSTGRES_FOLDER, version, 'bin', program))),
  );
}

function hasApt() {
  return existsSync('/usr/bin/apt-get');
}

function missingPrograms(programs) {
  return programs.filter((program) => !isThere(program));
}

/** Installs by apt-get what is missing, where that can be done; returns the programs that are missing still. */
export function bringPrograms(programs = FOR_TESTS) {
  const missing = missingPrograms(programs);
  if (missing.length === 0 || process.getuid?.() !== 0 || !hasApt()) return missing;
  const packages = [...new Set(missing.map((program) => PACKAGES[program]))];
  process.stderr.write(`bringing ${missing.join(', ')} by apt-get install ${packages.join(' ')} …\n`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => spawnSync('apt-get', args, { env: environment, encoding: 'utf8' });
  apt('update', '-q');
  const install = apt('install', '-y', '-q', '--no-install-recommends', ...packages);
  if (install.status !== 0) process.stderr.write(`${install.stdout}${install.stderr}\n`);
  return missingPrograms(programs);
}

/** What somebody who may not use apt-get does. */
export function howToInstall(missing, whoDrives = 'The tests drive') {
  const packages = [...new Set(missing.map((program) => PACKAGES[program]))].join(' ');
  return `${whoDrives} ${missing.join(', ')}: not installed here.\nInstall them first (Debian, Ubuntu: apt-get install ${packages}; macOS: brew install postgresql mariadb sysbench pgbouncer haproxy).`;
}
