import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../lib/errors.js';
import type { Blocker } from '../migration/engine.js';
import { quoteName, quoteText } from './engine-names.js';
import { type EngineSession, errnoOf } from './engine-session.js';
import type { Flavor } from './flavor.js';
import { REQUEST_BYTES } from './preflight-packets.js';
import { type ServerNeeds, xidOf } from './server-needs.js';

/** A transaction that is prepared for longer is nobody's ordinary commit. */
const PREPARED_LIMIT_MS = 3_000;
const MINIMUM_PACKET_BYTES = 2 * REQUEST_BYTES;
const POLL_MS = 50;

/** Variables that must be the same on all servers, or statements mean different things on them. */
const EQUAL: readonly string[] = [
  'sql_mode',
  'time_zone',
  'lower_case_table_names',
  'explicit_defaults_for_timestamp',
  'collation_server',
];

const DATABASE_RIGHTS =
  'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, LOCK TABLES, TRIGGER, CREATE VIEW, SHOW VIEW, CREATE ROUTINE'.split(
    ', ',
  );

type Finding = readonly [message: string, remedy: string];

/** What must be so on every server that takes part: each is a source of changes at some time, and a target at another. */
export class ServerChecks {
  /** Of the first server asked; the others must have the same. */
  #model: { readonly shard: string; readonly facts: ReadonlyMap<string, string> } | undefined;
  readonly #serverIds = new Map<string, string>();

  async run(session: EngineSession): Promise<Blocker[]> {
    const { shard } = session.address;
    const { needs } = session.flavor;
    const findings = versionFindings(session.flavor);
    if (findings.length === 0) {
      const facts = await readFacts(session);
      const rights = rightsFindings(await readGrants(session), facts, needs);
      findings.push(
        ...variableFindings(facts, needs),
        ...(await hashFindings(session)),
        ...rights,
        // Only who may look can see.
        ...(rights.length === 0
          ? [...(await filterFindings(session)), ...(await preparedFindings(session, needs))]
          : []),
        ...this.#equalityFindings(shard, facts),
      );
    }
    return findings.map(([message, remedy]) => ({ shard, message, remedy }));
  }

  #equalityFindings(shard: string, facts: ReadonlyMap<string, string>): Finding[] {
    const findings: Finding[] = [];
    const id = facts.get('server_id') ?? '';
    const twin = this.#serverIds.get(id);
    if (twin !== undefined)
      findings.push([
        `server_id is ${id}, as on shard ${twin}`,
        'Give each server a server_id of its own; two shards cannot be on one server, because their databases have the same name.',
      ]);
    this.#serverIds.set(id, shard);
    this.#model ??= { shard, facts };
    for (const [name, expected] of this.#model.facts) {
      const found = facts.get(name) ?? '';
      if (name in ALIKE && found !== expected)
        findings.push([
          `${ALIKE[name]} is ${found || 'empty'}, and on shard ${this.#model.shard} ${expected || 'empty'}`,
          `Make ${ALIKE[name]} the same on all shards.`,
        ]);
    }
    return findings;
  }
}

/** Fact → its name in messages. */
const ALIKE: Readonly<Record<string, string>> = {
  database: 'the name of the database',
  collation: 'the default collation of the database',
  release: 'the version of the server',
  zone: 'the time zone of the server',
  ...Object.fromEntries(EQUAL.map((name) => [name, name])),
};

function versionFindings({ isMariadb, version, major, minor, needs }: Flavor): Finding[] {
  const { minimum } = needs;
  if (major > minimum.major || (major === minimum.major && minor >= minimum.minor)) return [];
  return [
    [
      `the server is ${isMariadb ? 'MariaDB' : 'MySQL'} ${version}, whose rows cannot be moved live`,
      'Use MariaDB 10.5 or later, or MySQL 8.0 or later.',
    ],
  ];
}

async function readFacts(session: EngineSession): Promise<Map<string, string>> {
  const globals = [
    ...session.flavor.needs.variables.map(([name]) => name),
    ...EQUAL,
    'log_bin_trust_function_creators',
    'innodb_flush_log_at_trx_commit',
    'max_allowed_packet',
    'server_id',
  ];
  // Newer servers do not have all of them: asked for by `@@` that would be an error.
  const variables = await session.rows(
    `SHOW GLOBAL VARIABLES WHERE variable_name IN (${globals.map(quoteText).join(', ')})`,
  );
  const [row] = await session.rows(
    `SELECT DATABASE(), @@collation_database, SUBSTRING_INDEX(VERSION(), '.', 2),
       IF(@@GLOBAL.time_zone = 'SYSTEM', @@system_time_zone, @@GLOBAL.time_zone), CURRENT_USER()`,
  );
  const names = ['database', 'collation', 'release', 'zone', 'user'];
  return new Map([
    ...variables.map(([name, value]) => [name!.toLowerCase(), value ?? ''] as const),
    ...names.map((name, index) => [name, row![index] ?? ''] as const),
  ]);
}

function variableFindings(facts: ReadonlyMap<string, string>, { variables }: ServerNeeds): Finding[] {
  const findings: Finding[] = [];
  for (const [name, value, remedy] of variables) {
    const found = facts.get(name);
    if (found !== undefined && found !== value)
      findings.push([`${name} is ${found}, not ${value || 'empty'}`, remedy]);
  }
  if (facts.get('innodb_flush_log_at_trx_commit') === '0')
    findings.push([
      'innodb_flush_log_at_trx_commit is 0, so a fence could be forgotten in a crash',
      'SET GLOBAL innodb_flush_log_at_trx_commit = 1; and in the server’s configuration.',
    ]);
  if (Number(facts.get('max_allowed_packet')) < MINIMUM_PACKET_BYTES)
    findings.push([
      `max_allowed_packet is ${facts.get('max_allowed_packet')}, in which our requests do not fit`,
      `SET GLOBAL max_allowed_packet = ${MINIMUM_PACKET_BYTES}; and in the server’s configuration.`,
    ]);
  return findings;
}

/** From MySQL 9.6 on the function is a component's, which is not there by itself. */
async function hashFindings(session: EngineSession): Promise<Finding[]> {
  try {
    await session.run("SELECT MD5('')");
    return [];
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [
      [
        `the server has no function MD5, by which rows are found and compared: ${asError(error).message}`,
        "INSTALL COMPONENT 'file://component_classic_hashing';",
      ],
    ];
  }
}

/** Rights on `*.*` and on the session's database, of the user and of its roles. */
interface Grants {
  readonly onServer: ReadonlySet<string>;
  readonly onDatabase: ReadonlySet<string>;
}

async function readGrants(session: EngineSession): Promise<Grants> {
  const database = (await session.value('SELECT DATABASE()')) ?? '';
  const [onServer, onDatabase] = [new Set<string>(), new Set<string>()];
  for (const [grant] of await session.rows('SHOW GRANTS')) {
    const [, rights = '', scope = ''] =
      /^GRANT (.+?) ON (\*\.\*|`(?:[^`]|``)*`\.\*) TO /.exec(grant ?? '') ?? [];
    const isServer = scope === '*.*';
    if (!isServer && !namesDatabase(scope, database)) continue;
    for (const right of rights.split(/, ?/)) (isServer ? onServer : onDatabase).add(right);
  }
  return { onServer, onDatabase };
}

/** `%` and `_` in the name are wildcards unless a backslash stands before them (manual, GRANT). */
function namesDatabase(scope: string, database: string): boolean {
  const pattern = scope.slice(1, -3).replaceAll('``', '`');
  const expression = pattern.replace(/\\?[\s\S]/g, (part) =>
    part === '%' ? '.*' : part === '_' ? '.' : part.slice(-1).replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
  );
  return new RegExp(`^${expression}$`, 's').test(database);
}

function rightsFindings(
  { onServer, onDatabase }: Grants,
  facts: ReadonlyMap<string, string>,
  needs: ServerNeeds,
): Finding[] {
  const [user, database] = [facts.get('user')!, facts.get('database')!];
  const account = quoteAccount(user);
  const findings: Finding[] = [];
  if (onServer.has('ALL PRIVILEGES')) return findings;
  for (const [rights, purpose] of needs.rights)
    if (!rights.some((right) => onServer.has(right)))
      findings.push([`user ${user} may not ${purpose}`, `GRANT ${rights[0]} ON *.* TO ${account};`]);
  const missing = onDatabase.has('ALL PRIVILEGES')
    ? []
    : DATABASE_RIGHTS.filter((right) => !onDatabase.has(right) && !onServer.has(right));
  if (missing.length > 0)
    findings.push([
      `user ${user} lacks ${missing.join(', ')} in the database`,
      `GRANT ALL PRIVILEGES ON ${quoteName(database)}.* TO ${account};`,
    ]);
  if (!onServer.has('SUPER') && facts.get('log_bin_trust_function_creators') !== 'ON')
    findings.push([
      `user ${user} may not create triggers while the binary log is on`,
      `SET GLOBAL log_bin_trust_function_creators = 1; or GRANT SUPER ON *.* TO ${account};`,
    ]);
  return findings;
}

/** Changes of a database that is kept out of the log would never be seen. */
async function filterFindings(session: EngineSession): Promise<Finding[]> {
  const database = (await session.value('SELECT DATABASE()')) ?? '';
  const [row] = await session.rows(session.flavor.logStatusSql);
  const listed = (place: number): string[] => (row?.[place] ?? '').split(',').filter((name) => name !== '');
  const [only, ignored] = [listed(2), listed(3)];
  const isLogged = only.length > 0 ? only.includes(database) : !ignored.includes(database);
  if (isLogged) return [];
  return [
    [
      `the database ${database} is kept out of the binary log`,
      "Take binlog_do_db and binlog_ignore_db out of the server's configuration and restart it.",
    ],
  ];
}

/** `user@host`, of which the name may have an `@` of its own. */
function quoteAccount(user: string): string {
  const at = user.lastIndexOf('@');
  return `${quoteText(user.slice(0, at))}@${quoteText(user.slice(at + 1))}`;
}

/** Such a transaction was prepared before anybody watched: no copy can begin, and no fence can tell what it has written. */
async function preparedFindings(session: EngineSession, { preparedSql }: ServerNeeds): Promise<Finding[]> {
  const read = async (): Promise<string[]> => (await session.rows(preparedSql)).map(xidOf);
  let left = await read();
  for (let waitedMs = 0; left.length > 0 && waitedMs < PREPARED_LIMIT_MS; waitedMs += POLL_MS) {
    await sleep(POLL_MS);
    const now = await read();
    left = left.filter((xid) => now.includes(xid));
  }
  return left.map((xid) => [
    `the transaction ${xid} has been prepared and is not decided`,
    `End the session that prepared it, then XA COMMIT ${xid}; or XA ROLLBACK ${xid};`,
  ]);
}
