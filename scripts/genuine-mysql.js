// A genuine MySQL for the tests. Debian's stable releases have none: it is taken from unstable, with the libraries that it was built for, into .cache/,
// where it runs without being installed. Where that cannot be had (no apt, no network), or a MySQL is installed, nothing is fetched.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CACHE = new URL('../.cache/', import.meta.url).pathname;
const FOLDER = join(CACHE, 'mysql-server');
const PACKAGE = 'mysql-server-core';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** What the server depends on and does not need in order to run. */
const NEEDLESS = /^(perl|libperl|libgdbm|libdb5|gcc-|libc-gconv)/;

/** Fetches the server unless it is there; returns why it could not be had, or undefined. */
export function bringGenuineMysql() {
  if (existsSync(FOLDER)) return undefined;
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'only Linux on x64 has one to fetch';
  if (!existsSync('/usr/bin/apt-get') || !existsSync(KEYRING)) return 'no apt-get with Debian’s keys';
  process.stderr.write(`bringing a genuine MySQL (${PACKAGE} of Debian unstable) to .cache …\n`);
  const apt = join(CACHE, 'apt');
  rmSync(apt, { recursive: true, force: true });
  try {
    return fetchInto(apt);
  } finally {
    rmSync(apt, { recursive: true, force: true });
  }
}

function fetchInto(apt) {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'root'])
    mkdirSync(join(apt, folder), { recursive: true });
  writeFileSync(
    join(apt, 'sources.list'),
    `deb [arch=amd64 signed-by=${KEYRING}] http://deb.debian.org/debian unstable main\n`,
  );
  writeFileSync(join(apt, 'status'), '');
  writeFileSync(
    join(apt, 'apt.conf'),
    `Dir::Etc::sourcelist "${join(apt, 'sources.list')}";
Dir::Etc::sourceparts "-";
Dir::State::lists "${join(apt, 'lists')}";
Dir::State::status "${join(apt, 'status')}";
Dir::Cache "${join(apt, 'cache')}";
APT::Sandbox::User "";
Debug::NoLocking "true";
Acquire::Languages "none";
`,
  );
  const environment = {
    ...process.env,
    APT_CONFIG: join(apt, 'apt.conf'),
    DEBIAN_FRONTEND: 'noninteractive',
  };
  const install = ['install', '-y', '-q', '--no-install-recommends', '--download-only', PACKAGE];
  for (const args of [['update', '-q'], install]) {
    const run = spawnSync('apt-get', args, { env: environment, encoding: 'utf8', timeout: 300_000 });
    if (run.status !== 0) return `apt-get ${args[0]} failed: ${run.stderr || run.error?.message}`;
  }
  const archives = join(apt, 'cache/archives');
  for (const name of readdirSync(archives).filter((file) => file.endsWith('.deb') && !NEEDLESS.test(file))) {
    const run = spawnSync('dpkg-deb', ['-x', join(archives, name), join(apt, 'root')], { encoding: 'utf8' });
    if (run.status !== 0) return `dpkg-deb failed: ${run.stderr || run.error?.message}`;
  }
  const failure = initialize(join(apt, 'root'));
  if (failure === undefined) renameSync(join(apt, 'root'), FOLDER);
  return failure;
}

/** A data folder that servers begin as copies of. From 9.6 on MD5(), in which tokens are computed, is a component. */
function initialize(root) {
  const data = join(root, 'data');
  const setUp = join(root, 'set-up.sql');
  writeFileSync(
    setUp,
    `CREATE USER root@'%' IDENTIFIED BY '';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
INSTALL COMPONENT 'file://component_classic_hashing';
SHUTDOWN;
`,
  );
  const [program, ...args] = commandIn(root);
  const common = [...args, `--datadir=${data}`, ...(process.getuid?.() === 0 ? ['--user=root'] : [])];
  for (const options of [
    ['--initialize-insecure'],
    [`--init-file=${setUp}`, '--skip-networking', '--mysqlx=0', `--socket=${join(root, 'socket')}`],
  ]) {
    const run = spawnSync(program, [...common, ...options], { encoding: 'utf8', timeout: 120_000 });
    if (run.status !== 0) return `mysqld ${options[0]} failed: ${run.stderr || run.error?.message}`;
  }
  // Each server makes an own one: its name is in it. Whoever runs the servers reads the rest.
  rmSync(join(data, 'auto.cnf'), { force: true });
  const chmod = spawnSync('chmod', ['-R', 'a+rX', data], { encoding: 'utf8' });
  return chmod.status === 0 ? undefined : `chmod failed: ${chmod.stderr}`;
}

/** Starts the server that was fetched to `root`, with the loader and the libraries that came with it. */
function commandIn(root) {
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  return [
    join(root, 'usr/lib64/ld-linux-x86-64.so.2'),
    '--library-path',
    `${libraries}:${libraries}/mysql/private`,
    join(root, 'usr/sbin/mysqld'),
    '--no-defaults',
    `--basedir=${join(root, 'usr')}`,
    `--lc-messages-dir=${join(root, 'usr/share/mysql')}`,
    `--character-sets-dir=${join(root, 'usr/share/mysql/charsets')}`,
    `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
    '--secure-file-priv=',
  ];
}

/** The server's command, to which options may be added, and the data folder to copy; undefined when it was not fetched. */
export function genuineMysql() {
  return existsSync(FOLDER) ? { command: commandIn(FOLDER), data: join(FOLDER, 'data') } : undefined;
}
