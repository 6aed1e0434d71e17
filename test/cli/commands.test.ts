import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { ringferry as runHere } from './fake-io.js';
import { type FakeServer, startFakeServer } from './fake-server.js';

let server: FakeServer;
let folder: string;

before(async () => {
  server = await startFakeServer();
  folder = mkdtempSync(join(tmpdir(), 'ringferry-cli-'));
});
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  server.control.acts.length = 0;
  server.control.failure = undefined;
});

/** A command to the fake server. */
const ringferry = (...words: string[]) => runHere([...words, '--admin', `127.0.0.1:${server.port}`]);

function writeConfig(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const SHOP =
  'users: [ { name: app, password: secret } ]\ndatabases: { shop: { shards: { a: { url: postgres://h/shop } } } }\n';

describe('ringferry admin', () => {
  it('prints rows as a table, and tags where there are no rows', async () => {
    const { status, out } = await ringferry('admin', 'PAUSE shop; SHOW LISTS');
    assert.equal(status, 0);
    assert.match(out, /^PAUSE\nlist {11}items\n─+\ndatabases {10}2\n/);
    assert.match(out, /\(14 rows\)\n$/);
    assert.deepEqual(server.control.acts, ['pause shop']);
  });

  it('prints JSON with numbers as numbers and tokens as text', async () => {
    const { out } = await ringferry('admin', 'SHOW RING', '--json');
    const { tag, rows } = JSON.parse(out);
    assert.equal(tag, 'SHOW');
    assert.equal(rows[0].low, '-9223372036854775808');
    assert.equal(typeof rows[0].share_percent, 'number');
    assert.equal(rows[0].migration, 'm0');
  });

  it('fails with the reason and what to write', async () => {
    const { status, err, out } = await ringferry('admin', 'SHOW POOL');
    assert.equal(status, 1);
    assert.equal(out, '');
    assert.match(err, /^ringferry: the command "SHOW POOL" is not known\n {2}Write SHOW POOLS/);
    const json = await ringferry('admin', 'SHOW POOL', '--json');
    assert.match(JSON.parse(json.out).error.hint, /SHOW POOLS/);
    assert.equal(json.status, 1);
  });
});

describe('ringferry ring', () => {
  it('draws what each shard owns and says what moves', async () => {
    const { status, out } = await ringferry('ring');
    assert.equal(status, 0);
    assert.match(
      out,
      /^a {2}[━─]{40} +[\d.]+ %\nb {2}[━─]{40} +[\d.]+ %\nmoving [ab] → [ab] \(m0\): [\d.]+ % of the keys\n$/,
    );
  });

  it('lists every range on request', async () => {
    assert.match(
      (await ringferry('ring', '--ranges', '--database', 'shop')).out,
      /-9223372036854775808[\s\S]*9223372036854775807/,
    );
  });
});

describe('the way to the control port', () => {
  it('is found in the configuration', async () => {
    const path = writeConfig('found.yaml', `${SHOP}listen: { admin: "127.0.0.1:${server.port}" }\n`);
    assert.match((await runHere(['admin', 'SHOW VERSION', '-c', path])).out, /Ringferry 9\.9\.9/);
    assert.match(
      (await runHere(['admin', 'SHOW VERSION'], { env: { RINGFERRY_CONFIG: path } })).out,
      /Ringferry 9\.9\.9/,
    );
  });

  it('is found in a configuration at the usual place', async (t) => {
    const cwd = mkdtempSync(join(tmpdir(), 'ringferry-cwd-'));
    t.after(() => rmSync(cwd, { recursive: true, force: true }));
    writeFileSync(join(cwd, 'ringferry.yaml'), `${SHOP}listen: { admin: "127.0.0.1:1" }\n`);
    // The file is read from the working directory of the process; here only that it is looked for is seen.
    assert.match((await runHere(['admin', 'SHOW VERSION'], { cwd })).err, /ringferry\.yaml/);
  });

  it('takes the password from the configuration or the environment', async () => {
    const guarded = await startFakeServer({ password: 'opensesame' });
    try {
      const path = writeConfig(
        'guarded.yaml',
        `${SHOP}listen: { admin: "127.0.0.1:${guarded.port}" }\nadmin: { password: opensesame }\n`,
      );
      assert.equal((await runHere(['admin', 'SHOW VERSION', '-c', path])).status, 0);
      const words = ['admin', 'SHOW VERSION', '--admin', `127.0.0.1:${guarded.port}`];
      assert.equal((await runHere(words, { env: { RINGFERRY_ADMIN_PASSWORD: 'opensesame' } })).status, 0);
      const refused = await runHere(words, { env: { RINGFERRY_ADMIN_PASSWORD: 'guess' } });
      assert.equal(refused.status, 1);
      assert.match(refused.err, /refuses the password\n {2}Set RINGFERRY_ADMIN_PASSWORD/);
      assert.match((await runHere(words)).err, /wants a password\n {2}Set RINGFERRY_ADMIN_PASSWORD/);
    } finally {
      await guarded.close();
    }
  });

  it('that leads nowhere is told with what to do', async () => {
    const { err, status } = await runHere(['ring', '--admin', '127.0.0.1:23001']);
    assert.equal(status, 1);
    assert.match(
      err,
      /nothing listens on 127\.0\.0\.1:23001: is Ringferry running\?\n {2}Start it with: ringferry serve/,
    );
  });

  it('that leads to something else is told with what to do', async () => {
    const http = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    try {
      const { err, status } = await runHere([
        'ring',
        '--admin',
        `127.0.0.1:${(http.address() as { port: number }).port}`,
      ]);
      assert.equal(status, 1);
      assert.match(err, /is not Ringferry's control port|does not answer like the control port/);
      assert.match(err, /--admin HOST:PORT/);
    } finally {
      http.close();
    }
  });

  it('that a configuration turns off is told', async () => {
    const path = writeConfig('off.yaml', `${SHOP}listen: { admin: false }\n`);
    assert.match((await runHere(['ring', '-c', path])).err, /turns the control port off/);
  });

  it('in a configuration with mistakes is told with the mistakes', async () => {
    const path = writeConfig('wrong.yaml', `${SHOP}listn: {}\n`);
    const { err, status } = await runHere(['ring', '-c', path]);
    assert.equal(status, 1);
    assert.match(
      err,
      /wrong\.yaml:3:1: listn: is not a setting; did you mean listen\?[\s\S]*--admin HOST:PORT/,
    );
  });
});

describe('wrong use', () => {
  const WRONG: readonly (readonly [string[], RegExp])[] = [
    [['fly'], /unknown command 'fly'/],
    [['ring', '--sideways'], /unknown option '--sideways'/],
    [['migrate', 'add-shard'], /missing required argument 'name'/],
    [['migrate', 'add-shard', 'd', '--cutover', 'maybe'], /Allowed choices are auto, manual/],
    [['admin', 'SHOW POOLS', '--admin', 'nowhere'], /"nowhere" is not host:port/],
    [['serve'], /no configuration was given/],
    [['check'], /no configuration was given/],
  ];
  for (const [words, message] of WRONG) {
    it(`ends with 2 and says what is wrong: ${words.join(' ')}`, async () => {
      const { status, err } = await runHere(words);
      assert.equal(status, 2);
      assert.match(err, message);
    });
  }

  it('is not asking for help or the version', async () => {
    assert.equal((await runHere(['--help'])).status, 0);
    assert.match((await runHere(['--version'])).out, /^\d+\.\d+\.\d+\n$/);
    assert.match((await runHere(['migrate', '--help'])).out, /add-shard/);
  });
});

describe('ringferry check', () => {
  it('ends with 0 for a file without mistakes and says what it means', async () => {
    const { status, out } = await runHere(['check', '-c', writeConfig('good.yaml', SHOP)]);
    assert.equal(status, 0);
    assert.match(out, /good\.yaml: no mistakes\n {2}shop: passed through to one server/);
  });

  it('ends with 1 and tells every mistake with its line', async () => {
    const path = writeConfig('bad.yaml', 'users: []\nworkrs: 1\n');
    const { status, out } = await runHere(['check', '-c', path]);
    assert.equal(status, 1);
    assert.match(
      out,
      /bad\.yaml:1:1: databases: is missing[\s\S]*bad\.yaml:1:8: users: is empty[\s\S]*bad\.yaml:2:1: workrs[\s\S]*\n3 mistakes\n$/,
    );
    const { mistakes } = JSON.parse((await runHere(['check', '-c', path, '--json'])).out);
    assert.deepEqual(
      mistakes.map(({ line, path: where }: { line: number; path: string }) => [line, where]),
      [
        [1, 'databases'],
        [1, 'users'],
        [2, 'workrs'],
      ],
    );
  });

  it('says how the statements of a file route, each once, and ends with 1 when one is not supported', async () => {
    const file = join(folder, 'statements.sql');
    writeFileSync(file, "SELECT 1; /* ringferry: shard=a */ SELECT ';' ; SELECT 1;\n");
    const { status, out } = await ringferry('check', '--sql', file, '--database', 'shop');
    assert.equal(status, 0, out);
    assert.match(out, /^As the running server sees it:/);
    assert.match(out, /pass-through +SELECT 1 \(2 times\)\n/);
    assert.match(out, /pass-through +\/\* ringferry: shard=a \*\/ SELECT ';'\n/);
    assert.match(out, /3 statements: 3 pass-through\n$/);
  });

  it('reads statements from standard input', async () => {
    const { out } = await runHere(['check', '--json', '--admin', `127.0.0.1:${server.port}`], {
      stdin: 'SELECT 2',
    });
    assert.deepEqual(
      JSON.parse(out).statements.map(({ statement, count }: { statement: string; count: number }) => [
        statement,
        count,
      ]),
      [['SELECT 2', 1]],
    );
  });

  it('says when the file of statements is not there', async () => {
    assert.match((await ringferry('check', '--sql', '/nowhere.sql')).err, /nowhere\.sql cannot be read/);
  });
});

describe('ringferry explain', () => {
  it('says where a statement goes', async () => {
    const { status, out } = await ringferry('explain', 'SELECT 1');
    assert.equal(status, 0);
    assert.equal(out, `pass-through   SELECT 1\n${' '.repeat(15)}on a\n`);
  });
});

describe('an operation that the server refuses', () => {
  it('ends with 1', async () => {
    server.control.failure = new OperatingError('migration', 'another migration runs', {
      hint: 'Wait for it.',
    });
    const { status, err } = await ringferry('migrate', 'add-shard', 'd');
    assert.equal(status, 1);
    assert.equal(err, 'ringferry: another migration runs\n  Wait for it.\n');
  });
});
