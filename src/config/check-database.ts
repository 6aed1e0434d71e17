import { isAnyAddress, isLoopback, parseShardUrl, urlDatabase } from './address.js';
import type { DatabaseConfig, HostPort } from './config.js';
import { ENGINES, engineOf } from './engines.js';
import { didYouMean } from './mistakes.js';
import { asTree, checkFile, isTree, type Report, type Tree } from './report.js';
import type { Path } from './source.js';

type Engine = DatabaseConfig['engine'];

/** Mistakes inside one database: shards, home, tables. `listeners` are Ringferry's own addresses. */
export function checkDatabase(
  path: Path,
  database: Tree,
  listeners: readonly HostPort[],
  folder: string,
  report: Report,
): void {
  const isAnyName = path.at(-1) === '*';
  const engine = engineOf(database['engine']);
  if (database['auth_query'] !== undefined)
    report.mistake([...path, 'auth_query'], 'is not in this release', 'the users under users', 'key');
  if (database['local_infile'] === true && engine !== 'mysql')
    report.mistake(
      [...path, 'local_infile'],
      'is for engine: mysql',
      'COPY FROM STDIN, which needs no leave',
      'key',
    );
  checkFile([...path, 'server_ca'], database['server_ca'], folder, report);
  const shards = asTree(database['shards']);
  const names = Object.keys(shards);
  if (isTree(database['shards']) && names.length === 0) {
    report.mistake([...path, 'shards'], 'there is no shard', `a: { url: ${ENGINES[engine].exampleUrl} }`);
  }
  for (const [shard, entry] of Object.entries(shards))
    checkShard([...path, 'shards', shard], asTree(entry), engine, isAnyName, listeners, report);
  checkSameUrls([...path, 'shards'], shards, engine, report);
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
  engine: Engine,
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
  if (typeof shard['url'] === 'string')
    checkUrl([...path, 'url'], shard['url'], engine, isAnyName, listeners, report);
}

function checkUrl(
  at: Path,
  text: string,
  engine: Engine,
  isAnyName: boolean,
  listeners: readonly HostPort[],
  report: Report,
): void {
  const { defaultPort, exampleUrl } = ENGINES[engine];
  const url = parseShardUrl(text, engine);
  if (!(url instanceof URL)) {
    report.mistake(at, url.reason, `${exampleUrl} (special characters as %40 and the like)`);
    return;
  }
  const server = `${url.protocol}//${url.host}`;
  if (isAnyName && urlDatabase(url) !== '')
    report.mistake(at, 'the client names the database here', `${server} without a database`);
  if (!isAnyName && urlDatabase(url) === '')
    report.mistake(at, 'the URL names no database', `${server}/shop`);
  const port = Number(url.port || defaultPort);
  const isOwn = (own: HostPort) => own.port === port && (isLoopback(own.host) || isAnyAddress(own.host));
  if (isLoopback(url.hostname) && listeners.some(isOwn)) {
    report.mistake(
      at,
      `port ${port} is Ringferry's own: it would connect to itself`,
      `the database server's own port, usually ${defaultPort}`,
    );
  }
}

function checkSameUrls(path: Path, shards: Tree, engine: Engine, report: Report): void {
  const seen = new Map<string, string>();
  for (const [name, entry] of Object.entries(shards)) {
    const text = asTree(entry)['url'];
    const url = typeof text === 'string' ? parseShardUrl(text, engine) : undefined;
    if (!(url instanceof URL)) continue;
    const place = `${url.hostname}:${url.port || ENGINES[engine].defaultPort}/${urlDatabase(url)}?${url.searchParams.get('host') ?? ''}`;
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
