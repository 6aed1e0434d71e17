import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Face } from '../../src/admin/face.js';
import { splitCommands } from '../../src/admin/split-commands.js';
import { ConfigError } from '../../src/config/mistakes.js';
import { systemClock } from '../../src/lib/clock.js';
import type { Step } from '../../src/pool/request.js';
import { FakeControl } from './fake-control.js';
import { FakeFrontend } from './fake-frontend.js';

let control: FakeControl;
let face: Face;
let client: FakeFrontend;

beforeEach(() => {
  control = new FakeControl();
  face = new Face(control, systemClock);
  client = new FakeFrontend();
  face.serveConsole(client);
});
afterEach(() => face.close());

const parse = (sql: string, name = '', parameterTypes: number[] = []): Partial<Step> => ({
  type: 'parse',
  prepared: { name, sql, parameterTypes, id: 1 },
});
const parameters = (count: number) => ({ count, typeOid: () => 0, format: () => 0, bytes: () => undefined });
const bind = (statementName = '', count = 0, resultFormats: number[] = []): Partial<Step> => ({
  type: 'bind',
  portal: '',
  statementName,
  prepared: undefined,
  parameters: parameters(count),
  resultFormats,
});
const execute = (maxRows = 0): Partial<Step> => ({ type: 'execute', portal: '', maxRows });

describe('a client of the control port', () => {
  it('is welcomed to ringferry and to pgbouncer, and told where it is otherwise', () => {
    assert.deepEqual(client.lines, ['welcome']);
    const exporter = new FakeFrontend('pgbouncer');
    face.serveConsole(exporter);
    assert.deepEqual(exporter.lines, ['welcome']);
    const lost = new FakeFrontend('shop');
    face.serveConsole(lost);
    assert.match(lost.lines[0]!, /^end 3D000 .*no database "shop" \| .*psql -p 6433 ringferry/);
  });

  it('gets rows with types for a simple query', async () => {
    assert.deepEqual(await client.query('SHOW LISTS'), [
      'columns list:25 items:23',
      'row databases 2',
      'row users 1',
      'row peers 0',
      'row pools 1',
      'row peer_pools 0',
      'row free_clients 0',
      'row used_clients 2',
      'row login_clients 0',
      'row free_servers 0',
      'row used_servers 2',
      'row dns_names 0',
      'row dns_zones 0',
      'row dns_queries 0',
      'row dns_pending 0',
      'done SHOW',
      'ready idle',
    ]);
  });

  it('gets one tag for an operation without rows', async () => {
    assert.deepEqual(await client.query('PAUSE shop'), ['done PAUSE', 'ready idle']);
  });

  it('may send several commands at once; the first wrong one ends them', async () => {
    const lines = await client.query('PAUSE; SHOW VERSION; FLY; RESUME');
    assert.deepEqual(lines.slice(0, 4), [
      'done PAUSE',
      'columns version:25',
      'row Ringferry 9.9.9',
      'done SHOW',
    ]);
    assert.match(lines[4]!, /^error 42601 .*"FLY" is not known \| SHOW HELP/);
    assert.deepEqual(control.acts, ['pause']);
  });

  it('gets an empty answer for an empty query', async () => {
    assert.deepEqual(await client.query(' ; -- nothing\n'), ['empty', 'ready idle']);
  });

  it('may say what drivers say to every server', async () => {
    for (const sql of [
      "SET application_name = 'x'",
      'SET extra_float_digits TO 3',
      'RESET ALL',
      'DISCARD ALL',
    ]) {
      assert.match((await client.query(sql))[0]!, /^done /, sql);
    }
    assert.deepEqual(await client.query('SELECT 1'), [
      'columns ?column?:23',
      'row 1',
      'done SELECT 1',
      'ready idle',
    ]);
    assert.equal((await client.query('show client_encoding'))[1], 'row UTF8');
    assert.equal((await client.query('SHOW TRANSACTION ISOLATION LEVEL'))[1], 'row read committed');
    assert.equal((await client.query('select version()'))[1], 'row Ringferry 9.9.9');
  });

  it('may stand in a transaction, as psycopg does by itself', async () => {
    assert.deepEqual(await client.query('BEGIN'), ['done BEGIN', 'ready open']);
    assert.equal((await client.query('SHOW VERSION')).at(-1), 'ready open');
    assert.equal((await client.query('SHOW NOTHING')).at(-1), 'ready failed');
    assert.deepEqual(await client.query('ROLLBACK'), ['done ROLLBACK', 'ready idle']);
  });

  it('may use the extended protocol', async () => {
    const lines = await client.ask(
      'sync',
      parse('SHOW VERSION', 's'),
      { type: 'describe-statement', statementName: 's', prepared: undefined },
      bind('s'),
      { type: 'describe-portal', portal: '' },
      execute(),
    );
    assert.deepEqual(lines, [
      'parsed',
      'parameters 0 version:25',
      'bound',
      'columns version:25',
      'row Ringferry 9.9.9',
      'done SHOW',
      'ready idle',
    ]);
    assert.deepEqual(await client.ask('sync', { type: 'close-statement', statementName: 's' }), [
      'closed',
      'ready idle',
    ]);
    assert.match((await client.ask('sync', bind('s')))[0]!, /^error 26000/);
  });

  it('may take rows in parts', async () => {
    const first = await client.ask('sync', parse('SHOW LISTS'), bind(), execute(10));
    assert.equal(first.filter((line) => line.startsWith('row')).length, 10);
    assert.equal(first.at(-2), 'suspended');
    const second = await client.ask('sync', execute(10));
    assert.equal(second.filter((line) => line.startsWith('row')).length, 4);
    assert.equal(second.at(-2), 'done SHOW');
  });

  it('runs nothing by Parse, Bind and Describe alone', async () => {
    await client.ask('sync', parse('PAUSE'), bind(), { type: 'describe-portal', portal: '' });
    assert.deepEqual(control.acts, []);
  });

  it('is told that there are no parameters and no binary results', async () => {
    assert.match((await client.ask('sync', parse('PAUSE $1', '', [25])))[0]!, /^error 0A000 .*no parameters/);
    assert.match(
      (await client.ask('sync', parse('SHOW VERSION'), bind('', 1)))[1]!,
      /^error 0A000 .*no parameters/,
    );
    assert.match(
      (await client.ask('sync', parse('SHOW VERSION'), bind('', 0, [1])))[1]!,
      /^error 0A000 .*results as text/,
    );
  });

  it('has everything skipped after an error, up to Sync', async () => {
    const lines = await client.ask(
      'sync',
      parse('FLY'),
      bind(),
      execute(),
      parse('PAUSE'),
      bind(),
      execute(),
    );
    assert.equal(lines.length, 2);
    assert.equal(lines[1], 'ready idle');
    assert.deepEqual(control.acts, []);
    client.events!.onRequest({
      steps: [{ ...parse('FLY'), frame: Buffer.alloc(0) } as Step],
      end: 'flush',
      byteLength: 0,
    });
    const after = await client.ask('sync', parse('PAUSE'), bind(), execute());
    assert.equal(after.at(-1), 'ready idle');
    assert.deepEqual(control.acts, []);
  });

  it('gets answers in the order of its requests, however long each takes', async () => {
    let open = () => {};
    control.pause = () =>
      new Promise<void>((resolve) => {
        open = resolve;
      });
    client.events!.onRequest({
      steps: [{ type: 'query', sql: 'PAUSE', frame: Buffer.alloc(0) }],
      end: 'query',
      byteLength: 0,
    });
    const second = client.query('SHOW VERSION');
    await systemClock.sleep(5);
    assert.deepEqual(client.lines, ['welcome']);
    open();
    await second;
    while (client.lines.at(-2) !== 'done SHOW') await systemClock.sleep(1);
    assert.deepEqual(client.lines.slice(1, 4), ['done PAUSE', 'ready idle', 'columns version:25']);
  });

  it('gets the mistakes of a configuration that RELOAD cannot read', async () => {
    control.reload = async () => {
      throw new ConfigError('r.yaml', [
        { line: 3, column: 4, path: 'users', message: 'is empty', remedy: undefined },
      ]);
    };
    assert.deepEqual(await client.query('RELOAD'), [
      'error F0000 r.yaml:3:4: users: is empty | The configuration before stays in force.',
      'ready idle',
    ]);
  });

  it('that reads slowly gets rows only as fast as it reads', async () => {
    client.isSlow = true;
    const all = client.query('SHOW LISTS');
    await systemClock.sleep(5);
    assert.equal(client.lines.filter((line) => line.startsWith('row')).length, 1);
    client.isSlow = false;
    client.events!.onDrain();
    assert.equal((await all).filter((line) => line.startsWith('row')).length, 14);
  });

  it('that goes away while its command runs disturbs nobody', async () => {
    let open = () => {};
    control.pause = () =>
      new Promise<void>((resolve) => {
        open = resolve;
      });
    client.events!.onRequest({
      steps: [{ type: 'query', sql: 'PAUSE', frame: Buffer.alloc(0) }],
      end: 'query',
      byteLength: 0,
    });
    await systemClock.sleep(5);
    client.events!.onClose('lost');
    open();
    await systemClock.sleep(5);
    assert.ok(!client.lines.includes('ready idle'));
  });
});

describe('several commands in one text', () => {
  it('are cut at semicolons, but not inside quotes and comments', () => {
    assert.deepEqual(splitCommands('a; b \'x;y\' ; c "d;e"; f $$g;h$$ ; /* ; */ i -- ;\n; '), [
      'a',
      "b 'x;y'",
      'c "d;e"',
      'f $$g;h$$',
      'i',
    ]);
  });

  it('keep a comment in the SQL of EXPLAIN ROUTE: it may be a hint', () => {
    assert.deepEqual(splitCommands('-- first\nEXPLAIN ROUTE /* shard: a */ SELECT 1'), [
      'EXPLAIN ROUTE /* shard: a */ SELECT 1',
    ]);
  });
});
