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
  renameSync(join(apt, 'root'), FOLDER);
  return undefined;
}
