import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { formatAddress, isLoopback, parseAddress, parseShardUrl, urlDatabase } from './address.js';
import type { HostPort } from './config.js';
import { didYouMean, type Mistake } from './mistakes.js';
import type { ConfigSource, Path } from './source.js';

type Tree = Readonly<Record<string, unknown>>;

/** Where checks report to. A warning does not stop the start. */
interface Report {
  mistake(path: Path, message: string, remedy?: string, at?: 'key' | 'value'): void;
  warning(path: Path, message: string, remedy?: string): void;
}

/**
 * Mistakes that the shape alone does not show: names that must exist, addresses that clash, files, passwords. It also
 * runs on files whose shape is wrong elsewhere, so that all mistakes are told at once; hence it takes any value.
 */
export function checkMeaning(
  config: unknown,
  source: ConfigSource,
  folder: string,
  warnings: Mistake[],
): void {
  const report: Report = {
    mistake: (path, message, remedy, at) => source.report(path, message, remedy, at),
    warning: (path, message, remedy) => {
      warnings.push({ ...source.place(path, 'value'), path: path.join('.'), message, remedy });
    },
  };
  const root = asTree(config);
  const addresses = checkListen(root, report);
  checkLimitsOfRelease(root, report);
  checkTls(root, folder, report);
  checkUsers(root, addresses.postgres, report);
  const databases = asTree(root['databases']);
  if (root['databases'] !== undefined && Object.keys(databases).length === 0) {
    report.mistake(
      ['databases'],
      'there is no database',
      'shop: { shards: { a: { url: postgres://app@127.0.0.1:5432/shop } } }',
    );
  }
  for (const [name, database] of Object.entries(databases))
    checkDatabase(['databases', name], asTree(database), Object.values(addresses), folder, report);
}

function checkListen(root: Tree, report: Report): Readonly<Record<string, HostPort>> {
  const listen = asTree(root['listen']);
  const found: Record<string, HostPort> = {};
  for (const role of ['postgres', 'admin', 'http']) {
    const text = listen[role];
    if (typeof text !== 'string') continue;
    const address = parseAddress(text);
    if (address === undefined) {
      report.mistake(
        ['listen', role],
        `"${text}" is not host:port`,
        `${role}: 127.0.0.1:${DEFAULT_PORTS[role]}`,
      );
      continue;
    }
    for (const [other, taken] of Object.entries(found)) {
      if (address.port === 0 || !isSameListener(address, taken)) continue;
      report.mistake(
        ['listen', role],
        `port ${address.port} is already taken by listen.${other}`,
        `${role}: ${formatAddress({ ...address, port: DEFAULT_PORTS[role]! })}`,
      );
    }
    found[role] = address;
  }
  checkAdminPassword(root, found, report);
  return found;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { postgres: 6432, admin: 6433, http: 9432 };

function isSameListener(a: HostPort, b: HostPort): boolean {
  const isAny = (host: string) => host === '0.0.0.0' || host === '::' || host === '*';
  return a.port === b.port && (a.host === b.host || isAny(a.host) || isAny(b.host));
}

function checkAdminPassword(root: Tree, addresses: Readonly<Record<string, HostPort>>, report: Report): void {
  const hasPassword = typeof asTree(root['admin'])['password'] === 'string';
  const admin = addresses['admin'];
  if (admin !== undefined && !isLoopback(admin.host) && !hasPassword) {
    report.mistake(
      ['listen', 'admin'],
      `the control port on ${admin.host} can be reached from other machines and has no password`,
      'admin: { password: "${ADMIN_PASSWORD}" } at the top level, or listen on 127.0.0.1',
    );
  }
  const http = addresses['http'];
  if (http !== undefined && !isLoopback(http.host) && !hasPassword) {
    report.warning(
      ['listen', 'http'],
      'without admin.password only /metrics, /healthz and /readyz answer other machines',
      'admin: { password: "${ADMIN_PASSWORD}" } to open the API and the dashboard',
    );
  }
}

/** Words that the design has but this release does not serve. */
function checkLimitsOfRelease(root: Tree, report: Report): void {
  if (asTree(root['listen'])['mysql'] !== undefined) {
    report.warning(
      ['listen', 'mysql'],
      'MySQL is not in this release: nothing listens there',
      'nothing: leave listen.mysql out',
    );
  }
  const workers = root['workers'];
  if (workers === 'auto' || (typeof workers === 'number' && workers > 1)) {
    report.warning(
      ['workers'],
      'more than one worker is not in this release: one process runs',
      'workers: 1',
    );
  }
  if (asTree(root['store'])['kind'] === 'etcd') {
    report.mistake(
      ['store', 'kind'],
      'etcd is not in this release',
      'store: { kind: file, path: ./ringferry-state }',
    );
  }
}

function checkTls(root: Tree, folder: string, report: Report): void {
  const tls = asTree(root['tls']);
  for (const name of ['key', 'cert', 'client_ca']) checkFile(['tls', name], tls[name], folder, report);
}

function checkFile(path: Path, file: unknown, folder: string, report: Report): void {
  if (typeof file !== 'string') return;
  const full = resolve(folder, file);
  try {
    accessSync(full, constants.R_OK);
  } catch {
    report.mistake(
      path,
      `the file ${full} cannot be read`,
      'the path of a PEM file; a relative path starts at the folder of this configuration',
    );
  }
}

function checkUsers(root: Tree, postgres: HostPort | undefined, report: Report): void {
  const users = Array.isArray(root['users']) ? root['users'] : [];
  const seen = new Set<unknown>();
  for (const [index, entry] of users.entries()) {
    const user = asTree(entry);
    const path: Path = ['users', index];
    const name = user['name'];
    if (name !== undefined && seen.has(name))
      report.mistake(
        [...path, 'name'],
        `the user ${String(name)} is already listed above`,
        'one entry per user',
      );
    seen.add(name);
    checkCredentials(path, user, report);
    if (user['auth'] === 'trust' && postgres !== undefined && !isLoopback(postgres.host)) {
      report.warning(
        [...path, 'auth'],
        `anyone who reaches ${formatAddress(postgres)} can log in as ${String(name)}`,
        'a password instead of auth: trust',
      );
    }
  }
}

const SCRAM_VERIFIER = /^SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$/;

function checkCredentials(path: Path, user: Tree, report: Report): void {
  const { password, scram, auth } = user;
  if (password === undefined && scram === undefined && auth !== 'trust') {
    report.mistake(
      path,
      `the user ${String(user['name'] ?? '')} has no password`,
      'password: "${APP_PASSWORD}", or scram: <verifier>, or auth: trust',
    );
  }
  if (password !== undefined && scram !== undefined)
    report.mistake([...path, 'scram'], 'password and scram are both given', 'one of them', 'key');
  if (scram !== undefined && auth === 'md5')
    report.mistake([...path, 'auth'], 'md5 needs the password, not a SCRAM verifier', 'auth: scram');
  if (typeof scram === 'string' && !SCRAM_VERIFIER.test(scram)) {
    report.mistake(
      [...path, 'scram'],
      'is not a SCRAM-SHA-256 verifier',
      "what this gives: SELECT rolpassword FROM pg_authid WHERE rolname = 'app'",
    );
  }
  if (user['backend_password'] !== undefined && user['backend_user'] === undefined) {
    report.mistake(
      [...path, 'backend_password'],
      'there is no backend_user for it',
      'backend_user: the name to log in to the shards with',
      'key',
    );
  }
}

function checkDatabase(
  path: Path,
  database: Tree,
  listeners: readonly HostPort[],
  folder: string,
  report: Report,
): void {
  const isAnyName = path.at(-1) === '*';
  if (database['engine'] === 'mysql')
    report.mistake([...path, 'engine'], 'mysql is not in this release', 'engine: postgres');
  if (database['auth_query'] !== undefined)
    report.mistake([...path, 'auth_query'], 'is not in this release', 'the users under users', 'key');
  checkFile([...path, 'server_ca'], database['server_ca'], folder, report);
  const shards = asTree(database['shards']);
  const names = Object.keys(shards);
  if (database['shards'] !== undefined && names.length === 0) {
    report.mistake(
      [...path, 'shards'],
      'there is no shard',
      'a: { url: postgres://app@127.0.0.1:5432/shop }',
    );
  }
  for (const [shard, entry] of Object.entries(shards))
    checkShard([...path, 'shards', shard], asTree(entry), isAnyName, listeners, report);
  checkSameUrls([...path, 'shards'], shards, report);
  checkHome(path, database, names, report);
  checkTables(path, asTree(database['tables']), report);
  if (!isAnyName) return;
  if (names.length > 1)
    report.mistake(
      [...path, 'shards'],
      '"*" passes every database name through to one server: it can have only one shard',
      'a database with a name of its own for sharding',
    );
  if (Object.keys(asTree(database['tables'])).length > 0)
    report.mistake(
      [...path, 'tables'],
      '"*" cannot have sharded tables',
      'a database with a name of its own for sharding',
      'key',
    );
}

function checkShard(
  path: Path,
  shard: Tree,
  isAnyName: boolean,
  listeners: readonly HostPort[],
  report: Report,
): void {
  const name = String(path.at(-1));
  if (!/^[a-z0-9][a-z0-9_-]{0,30}$/i.test(name)) {
    report.mistake(
      path,
      `"${name}" cannot be a shard's name`,
      'up to 31 letters, digits, - and _, e.g. a or eu-1',
      'key',
    );
  }
  const replicas = shard['replicas'];
  if (Array.isArray(replicas) && replicas.length > 0) {
    report.warning(
      [...path, 'replicas'],
      'replicas are not used in this release: all statements go to url',
      'replicas: []',
    );
  }
  if (typeof shard['url'] !== 'string') return;
  const url = parseShardUrl(shard['url']);
  const at: Path = [...path, 'url'];
  if (!(url instanceof URL))
    return report.mistake(
      at,
      url.reason,
      'postgres://user:password@host:5432/database (special characters as %40 and the like)',
    );
  if (isAnyName && urlDatabase(url) !== '')
    report.mistake(
      at,
      'the client names the database here',
      `${url.protocol}//${url.host} without a database`,
    );
  if (!isAnyName && urlDatabase(url) === '')
    report.mistake(at, 'the URL names no database', `${url.protocol}//${url.host}/shop`);
  const port = Number(url.port || 5432);
  if (listeners.some((own) => own.port === port && isLoopback(own.host) && isLoopback(url.hostname))) {
    report.mistake(
      at,
      `port ${port} is Ringferry's own: it would connect to itself`,
      "the database server's own port, usually 5432",
    );
  }
}

function checkSameUrls(path: Path, shards: Tree, report: Report): void {
  const seen = new Map<string, string>();
  for (const [name, entry] of Object.entries(shards)) {
    const text = asTree(entry)['url'];
    const url = typeof text === 'string' ? parseShardUrl(text) : undefined;
    if (!(url instanceof URL)) continue;
    const place = `${url.hostname}:${url.port || 5432}/${urlDatabase(url)}?${url.searchParams.get('host') ?? ''}`;
    const other = seen.get(place);
    if (other !== undefined)
      report.mistake(
        [...path, name, 'url'],
        `is the same database as shard ${other}`,
        'a database of its own for each shard',
      );
    seen.set(place, name);
  }
}

function checkHome(path: Path, database: Tree, shards: readonly string[], report: Report): void {
  const home = database['home'];
  if (home === undefined && shards.length > 1) {
    report.mistake(path, `it is not said which shard is home`, `home: ${shards[0]}`, 'key');
  }
  if (typeof home !== 'string' || shards.length === 0 || shards.includes(home)) return;
  const meant = didYouMean(home, shards);
  report.mistake([...path, 'home'], `there is no shard ${home}`, `home: ${meant ?? shards.join(' or ')}`);
}

function checkTables(path: Path, tables: Tree, report: Report): void {
  const seen = new Set<string>();
  for (const [name, entry] of Object.entries(tables)) {
    const at: Path = [...path, 'tables', name];
    const table = asTree(entry);
    if (!/^[^.]+(\.[^.]+)?$/.test(name))
      report.mistake(at, `"${name}" is not a table's name`, 'orders or sales.orders', 'key');
    if ((table['key'] === undefined) === (table['reference'] === undefined)) {
      const message =
        table['key'] === undefined
          ? 'neither key nor reference is given'
          : 'key and reference are both given';
      report.mistake(at, message, `${name}: { key: customer_id }, or ${name}: { reference: true }`, 'key');
    }
    const full = name.includes('.') ? name : `public.${name}`;
    if (seen.has(full))
      report.mistake(at, `the table ${full} is already listed above`, 'one entry per table', 'key');
    seen.add(full);
  }
}

function asTree(value: unknown): Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Tree) : {};
}
