import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig, parseConfig } from '../../src/config/load.js';
import { ConfigError, didYouMean, type Mistake } from '../../src/config/mistakes.js';

const USERS = 'users: [ { name: app, password: secret } ]';
const SHARDS =
  'shards: { a: { url: postgres://app@127.0.0.1:5431/shop }, b: { url: postgres://app@127.0.0.1:5432/shop } }';

/** A whole file with `shop` around these lines of one database. */
function shop(...lines: string[]): string {
  return [USERS, 'databases:', '  shop:', ...lines.map((line) => `    ${line}`)].join('\n');
}

function mistakesOf(text: string, env: Record<string, string> = {}): readonly Mistake[] {
  try {
    parseConfig(text, 'ringferry.yaml', env);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.mistakes;
  }
  return [];
}

/** One mistake each: the file, where it is, what is said about it, what to write. */
const CASES: readonly (readonly [
  name: string,
  text: string,
  place: string,
  path: string,
  message: RegExp,
  remedy: RegExp | undefined,
])[] = [
  [
    'an unknown section',
    `${shop(SHARDS, 'home: a')}\nworkrs: 2`,
    '6:1',
    'workrs',
    /did you mean workers/,
    /^workers$/,
  ],
  [
    'an unknown setting in a map',
    `listen: { postgrs: 127.0.0.1:1 }\n${shop(SHARDS, 'home: a')}`,
    '1:11',
    'listen.postgrs',
    /did you mean postgres/,
    /^postgres$/,
  ],
  [
    'an unknown setting of a shard',
    shop('shards: { a: { url: postgres://h/shop, zoone: eu } }'),
    '4:44',
    'databases.shop.shards.a.zoone',
    /did you mean zone/,
    /^zone$/,
  ],
  [
    'an unknown setting like no other',
    `${shop(SHARDS, 'home: a')}\nlog: { colour: red }`,
    '6:8',
    'log.colour',
    /is not a setting$/,
    /one of level/,
  ],
  ['a name written twice', shop(SHARDS, 'home: a', 'home: b'), '6:5', '', /written twice/, undefined],
  ['text that is no YAML', `${USERS}\ndatabases: { shop: [ }`, '2:22', '', /./, undefined],
  ['a tab', 'users:\n\t- { name: app }', '2:1', '', /./, /spaces/],
  [
    'an unquoted variable in a flow map',
    'users: [ { name: app, password: ${PW} } ]',
    '1:34',
    '',
    /./,
    /quotes/,
  ],
  ['no users', `databases: { shop: { ${SHARDS}, home: a } }`, '1:1', 'users', /is missing/, /users: \[/],
  [
    'an empty list of users',
    `users: []\ndatabases: { shop: { ${SHARDS}, home: a } }`,
    '1:8',
    'users',
    /is empty/,
    /users: \[/,
  ],
  ['no databases', USERS, '1:1', 'databases', /is missing/, /shop/],
  ['an empty map of databases', `${USERS}\ndatabases: {}`, '2:12', 'databases', /no database/, /shop/],
  ['an empty value', `${USERS}\ndatabases:`, '2:11', 'databases', /is empty/, /shop/],
  ['no shards', shop('home: a'), '4:5', 'databases.shop.shards', /is missing/, /shards:/],
  ['an empty map of shards', shop('shards: {}'), '4:13', 'databases.shop.shards', /no shard/, /url/],
  [
    'a shard without a URL',
    shop('shards: { a: {} }'),
    '4:18',
    'databases.shop.shards.a.url',
    /is missing/,
    /postgres:/,
  ],
  [
    'a URL of another engine',
    shop('shards: { a: { url: mysql://h/shop } }'),
    '4:25',
    'databases.shop.shards.a.url',
    /not a Postgres URL/,
    /postgres:/,
  ],
  [
    'something that is no URL',
    shop('shards: { a: { url: localhost/shop } }'),
    '4:25',
    'databases.shop.shards.a.url',
    /not a URL/,
    /postgres:/,
  ],
  [
    'a URL without a host',
    shop('shards: { a: { url: "postgres:///shop" } }'),
    '4:25',
    'databases.shop.shards.a.url',
    /no host/,
    /postgres:/,
  ],
  [
    'a URL without a database',
    shop('shards: { a: { url: postgres://h:5431 } }'),
    '4:25',
    'databases.shop.shards.a.url',
    /no database/,
    /h:5431\/shop/,
  ],
  [
    'two shards that are one database',
    shop('shards:', '  a: { url: postgres://h/shop }', '  b: { url: postgres://x:y@h:5432/shop }', 'home: a'),
    '6:17',
    'databases.shop.shards.b.url',
    /same database as shard a/,
    /its own/,
  ],
  [
    'a shard that is Ringferry itself',
    shop('shards: { a: { url: postgres://127.0.0.1:6432/shop } }'),
    '4:25',
    'databases.shop.shards.a.url',
    /connect to itself/,
    /5432/,
  ],
  [
    "a shard's name with a blank",
    shop('shards: { "a b": { url: postgres://h/shop } }'),
    '4:15',
    'databases.shop.shards.a b',
    /cannot be a shard's name/,
    /letters/,
  ],
  [
    'a home that is no shard',
    shop(SHARDS, 'home: c'),
    '5:11',
    'databases.shop.home',
    /no shard c/,
    /home: a/,
  ],
  ['several shards and no home', shop(SHARDS), '3:3', 'databases.shop', /which shard is home/, /home: a/],
  [
    'a table with neither key nor reference',
    shop(SHARDS, 'home: a', 'tables:', '  orders: {}'),
    '7:7',
    'databases.shop.tables.orders',
    /neither/,
    /key: customer_id/,
  ],
  [
    'a table with both',
    shop(SHARDS, 'home: a', 'tables: { orders: { key: id, reference: true } }'),
    '6:15',
    'databases.shop.tables.orders',
    /both/,
    /key: customer_id/,
  ],
  [
    'a table that is no reference table',
    shop(SHARDS, 'home: a', 'tables: { orders: { reference: false } }'),
    '6:36',
    'databases.shop.tables.orders.reference',
    /false/,
    /true/,
  ],
  [
    'a table listed twice',
    shop(SHARDS, 'home: a', 'tables:', '  orders: { key: id }', '  public.orders: { key: id }'),
    '8:7',
    'databases.shop.tables.public.orders',
    /already listed/,
    /one entry/,
  ],
  [
    'a user listed twice',
    `users:\n  - { name: app, auth: trust }\n  - { name: app, auth: trust }\ndatabases: { shop: { ${SHARDS}, home: a } }`,
    '3:13',
    'users[1].name',
    /already listed/,
    /one entry/,
  ],
  [
    'a user without a password',
    `users: [ { name: app } ]\ndatabases: { shop: { ${SHARDS}, home: a } }`,
    '1:10',
    'users[0]',
    /has no password/,
    /auth: trust/,
  ],
  [
    'a user with two secrets',
    `users: [ { name: app, password: x, scram: "SCRAM-SHA-256$4096:c2FsdA==$YQ==:Yg==" } ]\ndatabases: { shop: { ${SHARDS}, home: a } }`,
    '1:36',
    'users[0].scram',
    /both/,
    /one of them/,
  ],
  [
    'a SCRAM verifier that is none',
    `users: [ { name: app, scram: md5abc } ]\ndatabases: { shop: { ${SHARDS}, home: a } }`,
    '1:30',
    'users[0].scram',
    /not a SCRAM-SHA-256 verifier/,
    /rolpassword/,
  ],
  [
    'md5 with a SCRAM verifier',
    `users: [ { name: app, auth: md5, scram: "SCRAM-SHA-256$4096:c2FsdA==$YQ==:Yg==" } ]\ndatabases: { shop: { ${SHARDS}, home: a } }`,
    '1:29',
    'users[0].auth',
    /md5 needs the password/,
    /scram/,
  ],
  [
    'an unknown way to log in',
    `users: [ { name: app, password: x, auth: plain } ]\ndatabases: { shop: { ${SHARDS}, home: a } }`,
    '1:42',
    'users[0].auth',
    /"plain"/,
    /scram or md5 or trust/,
  ],
  [
    'a number as a password',
    `users: [ { name: app, password: 1234 } ]\ndatabases: { shop: { ${SHARDS}, home: a } }`,
    '1:33',
    'users[0].password',
    /is not text/,
    /quotes/,
  ],
  [
    'an unknown pool mode',
    shop(SHARDS, 'home: a', 'pool: { mode: transactions }'),
    '6:19',
    'databases.shop.pool.mode',
    /"transactions"/,
    /^transaction$/,
  ],
  [
    'a pool size that is no number',
    shop(SHARDS, 'home: a', 'pool: { size: lots }'),
    '6:19',
    'databases.shop.pool.size',
    /"lots" is not a/,
    /size: 20/,
  ],
  [
    'a pool without room',
    shop(SHARDS, 'home: a', 'pool: { size: 0 }'),
    '6:19',
    'databases.shop.pool.size',
    /too small/,
    /size: 20/,
  ],
  [
    'half a vnode',
    shop(SHARDS, 'home: a', 'ring: { vnodes: 1.5 }'),
    '6:21',
    'databases.shop.ring.vnodes',
    /1.5 is not a whole number/,
    /vnodes: 64/,
  ],
  [
    'an address that is none',
    `listen: { postgres: "6432:x" }\n${shop(SHARDS, 'home: a')}`,
    '1:21',
    'listen.postgres',
    /not host:port/,
    /127.0.0.1:6432/,
  ],
  [
    'two listeners on one port',
    `listen: { postgres: 127.0.0.1:7000, admin: 127.0.0.1:7000 }\n${shop(SHARDS, 'home: a')}`,
    '1:44',
    'listen.admin',
    /already taken by listen.postgres/,
    /6433/,
  ],
  [
    'two listeners on one port of all addresses',
    `listen: { postgres: 0.0.0.0:7000, http: 127.0.0.1:7000 }\n${shop(SHARDS, 'home: a')}`,
    '1:41',
    'listen.http',
    /already taken/,
    /9432/,
  ],
  [
    'an open control port without a password',
    `listen: { admin: 0.0.0.0:6433 }\n${shop(SHARDS, 'home: a')}`,
    '1:18',
    'listen.admin',
    /no password/,
    /ADMIN_PASSWORD/,
  ],
  [
    'etcd',
    `${shop(SHARDS, 'home: a')}\nstore: { kind: etcd, endpoints: [] }`,
    '6:16',
    'store.kind',
    /not in this release/,
    /kind: file/,
  ],
  [
    'an unknown store',
    `${shop(SHARDS, 'home: a')}\nstore: { kind: redis }`,
    '6:16',
    'store.kind',
    /"redis"/,
    /file/,
  ],
  [
    'mysql',
    shop('engine: mysql', SHARDS, 'home: a'),
    '4:13',
    'databases.shop.engine',
    /not in this release/,
    /postgres/,
  ],
  [
    'auth_query',
    shop(SHARDS, 'home: a', 'auth_query: SELECT 1'),
    '6:5',
    'databases.shop.auth_query',
    /not in this release/,
    /users/,
  ],
  [
    '"*" with two shards',
    `${USERS}\ndatabases:\n  "*":\n    shards: { a: { url: postgres://h }, b: { url: postgres://i } }\n    home: a`,
    '4:13',
    'databases.*.shards',
    /only one shard/,
    /name of its own/,
  ],
  [
    '"*" with a database in its URL',
    `${USERS}\ndatabases:\n  "*": { shards: { a: { url: postgres://h/shop } } }`,
    '3:30',
    'databases.*.shards.a.url',
    /client names the database/,
    /postgres:\/\/h without/,
  ],
  [
    '"*" with tables',
    `${USERS}\ndatabases:\n  "*":\n    shards: { a: { url: postgres://h } }\n    tables: { t: { key: id } }`,
    '5:5',
    'databases.*.tables',
    /cannot have sharded tables/,
    /name of its own/,
  ],
  [
    'a TLS key that is not there',
    `${shop(SHARDS, 'home: a')}\ntls: { key: /nowhere/key.pem, cert: /dev/null }`,
    '6:13',
    'tls.key',
    /cannot be read/,
    /PEM/,
  ],
  [
    'a variable that is not set',
    shop('shards: { a: { url: "postgres://app:${SECRET}@h/shop" } }'),
    '4:25',
    '',
    /SECRET is not set/,
    /export SECRET/,
  ],
  [
    'a variable that is no name',
    shop('shards: { a: { url: "postgres://${a b}@h/shop" } }'),
    '4:25',
    '',
    /not a variable/,
    /\$\$\{/,
  ],
];

describe('a mistake in the configuration', () => {
  for (const [name, text, place, path, message, remedy] of CASES) {
    it(`is told with its place and what to write: ${name}`, () => {
      const mistakes = mistakesOf(text);
      const mistake = mistakes[0];
      assert.ok(mistake !== undefined, 'no mistake was found');
      assert.equal(`${mistake.line}:${mistake.column}`, place, mistake.message);
      assert.equal(mistake.path, path);
      assert.match(mistake.message, message);
      if (remedy !== undefined) assert.match(mistake.remedy ?? '', remedy);
      assert.equal(mistakes.length, 1, mistakes.map((each) => each.message).join('; '));
    });
  }

  it('never shows a password', () => {
    const text = `users: [ { name: app, password: 4711 } ]\ndatabases: { shop: { shards: { a: { url: "mysql://app:hunter2@h" }, b: { url: "pg:app:hunter2@h/x" } }, home: a } }`;
    assert.doesNotMatch(
      mistakesOf(text)
        .map((mistake) => mistake.message + mistake.remedy)
        .join(),
      /4711|hunter2/,
    );
  });

  it('does not hide the others: many are told at once, in the order of the file', () => {
    const text = `listen: { postgres: nowhere }\nusers: [ { name: app } ]\nworkrs: 1\n${['databases:', '  shop:', '    shards: { a: { url: x } }', '    home: b'].join('\n')}`;
    assert.deepEqual(
      mistakesOf(text).map(({ line, path }) => `${line} ${path}`),
      [
        '1 listen.postgres',
        '2 users[0]',
        '3 workrs',
        '6 databases.shop.shards.a.url',
        '7 databases.shop.home',
      ],
    );
  });

  it('is formatted as file:line:column with what to write below', () => {
    const error = (() => {
      try {
        return parseConfig(shop(SHARDS, 'home: c'), 'conf/r.yaml', {});
      } catch (thrown) {
        return thrown as Error;
      }
    })() as Error;
    assert.equal(
      error.message,
      'conf/r.yaml:5:11: databases.shop.home: there is no shard c\n    write: home: a',
    );
  });

  it('in a file that does not exist says what to give', () => {
    assert.throws(() => loadConfig('/nowhere/ringferry.yaml', {}), /there is no such file[\s\S]*after -c/);
  });
});

describe('a configuration', () => {
  it('gets its defaults filled in', () => {
    const { config } = parseConfig(shop('shards: { a: { url: postgres://h/shop } }'), '/etc/r.yaml', {});
    assert.deepEqual(config.listen, {
      postgres: { host: '127.0.0.1', port: 6432 },
      mysql: undefined,
      admin: { host: '127.0.0.1', port: 6433 },
      http: { host: '127.0.0.1', port: 9432 },
    });
    assert.equal(config.databases['shop']!.home, 'a');
    assert.equal(config.databases['shop']!.pool.size, 20);
    assert.equal(config.store.path, '/etc/ringferry-state');
  });

  it('can turn the control port and HTTP off', () => {
    const { config } = parseConfig(
      `listen: { admin: false, http: false }\n${shop('shards: { a: { url: postgres://h/shop } }')}`,
      'r.yaml',
      {},
    );
    assert.equal(config.listen.admin, undefined);
    assert.equal(config.listen.http, undefined);
  });

  it('passes every database name through with "*"', () => {
    const { config } = parseConfig(
      `${USERS}\ndatabases:\n  "*": { shards: { a: { url: postgres://h:5432 } } }`,
      'r.yaml',
      {},
    );
    assert.equal(config.databases['*']!.shards['a']!.url, 'postgres://h:5432');
  });

  it('has variables expanded in values, with defaults, but not in comments', () => {
    const text = `# \${NOT_SET}\nusers: [ { name: app, password: "\${PW}", backend_user: "\${BU:-shadow}", backend_password: "$\${x}" } ]\ndatabases: { shop: { shards: { a: { url: "postgres://app:\${PW}@h/shop" } } } }`;
    const { config } = parseConfig(text, 'r.yaml', { PW: 's3cret' });
    assert.deepEqual(config.users[0], {
      name: 'app',
      password: 's3cret',
      scram: undefined,
      auth: 'scram',
      backendUser: 'shadow',
      backendPassword: '${x}',
    });
    assert.equal(config.databases['shop']!.shards['a']!.url, 'postgres://app:s3cret@h/shop');
  });

  it('takes a variable as a number where a number is wanted, and as text where text is wanted', () => {
    const text = `users:\n  - name: app\n    password: \${PW}\ndatabases:\n  shop:\n    shards: { a: { url: postgres://h/shop } }\n    pool:\n      size: \${SIZE}\n`;
    const { config } = parseConfig(text, 'r.yaml', { PW: '0123', SIZE: '7' });
    assert.equal(config.users[0]!.password, '0123');
    assert.equal(config.databases['shop']!.pool.size, 7);
  });

  it('warns of what this release does not do instead of refusing it', () => {
    const text = `listen: { mysql: 127.0.0.1:6033 }\nworkers: auto\n${shop('shards: { a: { url: postgres://h/shop, replicas: [postgres://r/shop] } }')}`;
    const { config, warnings } = parseConfig(text, 'r.yaml', {});
    assert.deepEqual(
      warnings.map(({ line, path }) => `${line} ${path}`),
      ['1 listen.mysql', '2 workers', '6 databases.shop.shards.a.replicas'],
    );
    assert.equal(config.workers, 1);
    assert.equal(config.listen.mysql, undefined);
  });

  it('warns of trust on an open port', () => {
    const text = `listen: { postgres: 0.0.0.0:6432 }\nusers: [ { name: app, auth: trust } ]\ndatabases: { shop: { shards: { a: { url: postgres://h/shop } } } }`;
    assert.match(parseConfig(text, 'r.yaml', {}).warnings[0]!.message, /can log in as app/);
  });

  it('finds its files from its own folder', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ringferry-config-'));
    writeFileSync(join(folder, 'key.pem'), '');
    writeFileSync(
      join(folder, 'r.yaml'),
      `${shop('shards: { a: { url: postgres://h/shop } }')}\ntls: { key: key.pem, cert: ./key.pem }\nstore: { kind: file, path: state }`,
    );
    const { config } = loadConfig(join(folder, 'r.yaml'), {});
    assert.equal(config.tls?.key, join(folder, 'key.pem'));
    assert.equal(config.store.path, join(folder, 'state'));
  });
});

describe('did you mean', () => {
  it('finds swapped and missing letters, and stays silent when nothing is near', () => {
    assert.equal(didYouMean('taggr', ['postgres', 'target']), undefined);
    assert.equal(didYouMean('lsiten', ['listen', 'limits']), 'listen');
    assert.equal(didYouMean('vnode', ['vnodes']), 'vnodes');
    assert.equal(didYouMean('b', ['a', 'c']), 'a');
  });
});
