import { formatAddress, isAnyAddress, isLoopback, parseAddress } from './address.js';
import { checkDatabase } from './check-database.js';
import type { HostPort } from './config.js';
import type { Mistake } from './mistakes.js';
import { asTree, checkFile, isTree, type Report, type Tree } from './report.js';
import { type ConfigSource, formatPath, type Path } from './source.js';

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
      warnings.push({ ...source.place(path, 'value'), path: formatPath(path), message, remedy });
    },
  };
  const root = asTree(config);
  const addresses = checkListen(root, report);
  checkLimitsOfRelease(root, report);
  checkTls(root, folder, report);
  checkUsers(root, addresses.postgres, report);
  const databases = asTree(root['databases']);
  if (isTree(root['databases']) && Object.keys(databases).length === 0) {
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
  for (const role of ['postgres', 'mysql', 'admin', 'http']) {
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

const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  postgres: 6432,
  mysql: 6033,
  admin: 6433,
  http: 9432,
};

function isSameListener(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && (a.host === b.host || isAnyAddress(a.host) || isAnyAddress(b.host));
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
