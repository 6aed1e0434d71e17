import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig, parseConfig } from '../../src/config/load.js';
import { ConfigError, didYouMean, type Mistake } from '../../src/config/mistakes.js';
import { SHARDS, shop, USERS } from './cases.js';
import { MEANING_CASES } from './cases-of-meaning.js';
import { SHAPE_CASES } from './cases-of-shape.js';

function mistakesOf(text: string, env: Record<string, string> = {}): readonly Mistake[] {
  try {
    parseConfig(text, 'ringferry.yaml', env);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.mistakes;
  }
  return [];
}

describe('a mistake in the configuration', () => {
  for (const [name, text, place, path, message, remedy] of [...SHAPE_CASES, ...MEANING_CASES]) {
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
    const text = shop('shards: { a: { url: postgres://h/shop, replicas: [postgres://r/shop] } }');
    const { warnings } = parseConfig(text, 'r.yaml', {});
    assert.deepEqual(
      warnings.map(({ line, path }) => `${line} ${path}`),
      ['4 databases.shop.shards.a.replicas'],
    );
  });

  it('warns of trust on an open port', () => {
    const text = `listen: { postgres: 0.0.0.0:6432 }\nusers: [ { name: app, auth: trust } ]\ndatabases: { shop: { shards: { a: { url: postgres://h/shop } } } }`;
    assert.match(parseConfig(text, 'r.yaml', {}).warnings[0]!.message, /can log in as app/);
  });

  it('finds its files from its own folder', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'ringferry-config-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
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
