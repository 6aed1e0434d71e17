import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { configurationPage, schemaFileText } from '../../src/config/document.js';
import { loadConfig, parseConfig } from '../../src/config/load.js';
import { runningSettings, settingsWaitingForRestart } from '../../src/config/running.js';
import { listSettings } from '../../src/config/settings.js';

const root = new URL('../../', import.meta.url);
const isUpdating = process.env['UPDATE'] === '1';

function checkFile(path: string, text: string): void {
  const file = new URL(path, root);
  if (isUpdating) writeFileSync(file, text);
  assert.equal(
    readFileSync(file, 'utf8'),
    text,
    `${path} is not current: UPDATE=1 npm test -- test/config/generated.test.ts`,
  );
}

describe('files made from the table of settings', () => {
  it('include a current JSON Schema', () => checkFile('config/ringferry.schema.json', schemaFileText()));
  it('include a current page of documentation', () =>
    checkFile('docs/configuration.md', configurationPage()));
});

describe('the example configuration', () => {
  const example = new URL('config/ringferry.example.yaml', root).pathname;

  it('loads without mistakes or warnings, and without any variable set', () => {
    const { config, warnings } = loadConfig(example, {});
    assert.deepEqual(warnings, []);
    assert.deepEqual(Object.keys(config.databases['shop']!.shards), ['a', 'b']);
  });

  it('loads without mistakes with every comment taken off its commented-out databases', () => {
    const text = readFileSync(example, 'utf8').replace(/^ {2}# (?=legacy|webshop|"\*"| {2})/gm, '  ');
    const { config } = parseConfig(text, example, {});
    assert.deepEqual(Object.keys(config.databases), ['shop', 'legacy', '*', 'webshop']);
  });
});

describe('the running settings', () => {
  const { config } = loadConfig(new URL('config/ringferry.example.yaml', root).pathname, {
    APP_PASSWORD: 'hunter2',
  });
  const rows = runningSettings(config);

  it('are all in the table, in the spelling of the file', () => {
    const known = new Set(listSettings().map((setting) => setting.path));
    const unknown = rows.filter(
      ({ key }) =>
        !known.has(
          key
            .replace(/\[\d+\]/g, '[]')
            .replace(/^databases\.shop/, 'databases.*')
            .replace(/(shards|tables)\.[a-z]+/, '$1.*'),
        ),
    );
    assert.deepEqual(unknown, []);
    assert.ok(
      rows.some(({ key, value }) => key === 'databases.shop.pool.wait_timeout_ms' && value === '30000'),
    );
  });

  it('hide passwords', () => {
    assert.doesNotMatch(JSON.stringify(rows), /hunter2/);
  });

  it('tell every setting of the file with a default', () => {
    const shown = new Set(rows.map(({ key }) => key));
    const hidden = listSettings().filter(
      (setting) =>
        !setting.path.includes('*') &&
        !setting.path.includes('[]') &&
        setting.default !== undefined &&
        !shown.has(setting.path),
    );
    assert.deepEqual(
      hidden.map((setting) => setting.path),
      ['tls.required'],
    );
  });
});

describe('a configuration read again', () => {
  const first = (text: string) => parseConfig(text, '/etc/r.yaml', {}).config;
  const users = 'users: [ { name: app, password: one } ]';
  const before = first(
    `${users}\ndatabases: { shop: { shards: { a: { url: "postgres://app:one@h/shop" } } } }`,
  );

  it('waits for a restart with shards, tables and pools, even where only a password in a URL differs', () => {
    const after = first(
      `${users}\ndatabases: { shop: { pool: { size: 5 }, shards: { a: { url: "postgres://app:two@h/shop" } }, tables: { t: { key: id } } } }`,
    );
    assert.deepEqual(settingsWaitingForRestart(before, after), [
      'databases.shop.pool.size',
      'databases.shop.shards.a.url',
      'databases.shop.tables.t.key',
    ]);
  });

  it('changes users and the limit of clients at once', () => {
    const after = first(
      `${users.replace('one', 'two')}\nlimits: { max_clients: 5 }\ndatabases: { shop: { shards: { a: { url: "postgres://app:one@h/shop" } } } }`,
    );
    assert.deepEqual(settingsWaitingForRestart(before, after), []);
  });
});
