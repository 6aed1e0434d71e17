import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Cell, CommandContext } from '../../src/admin/command.js';
import { syntaxOf } from '../../src/admin/command.js';
import { COMMANDS } from '../../src/admin/commands.js';
import { parseCommand } from '../../src/admin/parse-command.js';
import { StatsWindow } from '../../src/admin/stats-window.js';
import { systemClock } from '../../src/lib/clock.js';
import { databaseState, FakeControl } from './fake-control.js';

let control: FakeControl;
let context: CommandContext;

beforeEach(() => {
  control = new FakeControl();
  context = { control, stats: new StatsWindow(control, systemClock) };
});
afterEach(() => context.stats.close());

/** Runs a command as text; rows as objects. */
async function run(text: string): Promise<Record<string, Cell>[]> {
  const { command, given } = parseCommand(text);
  const rows = await command.run(context, given);
  return rows.map((row) => {
    assert.equal(row.length, command.columns.length, `${command.words} has as many cells as columns`);
    return Object.fromEntries(command.columns.map(({ name }, index) => [name, row[index]!]));
  });
}

const columnsOf = (words: string) =>
  COMMANDS.find((command) => command.words === words)!
    .columns.map(({ name }) => name)
    .join(' ');

describe("PgBouncer's words", () => {
  // As PgBouncer 1.24 sends them; exporters read them by name, scripts by place.
  const SOCKET =
    'type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id';
  const COLUMNS: Readonly<Record<string, string>> = {
    'SHOW POOLS':
      'database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts',
    'SHOW CLIENTS': `${SOCKET} pinned`,
    'SHOW SERVERS': `${SOCKET} shard`,
    'SHOW STATS':
      'database total_server_assignment_count total_xact_count total_query_count total_received total_sent total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count total_bind_count avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count avg_bind_count',
    'SHOW DATABASES':
      'name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode load_balance_hosts max_connections current_connections max_client_connections current_client_connections paused disabled',
    'SHOW CONFIG': 'key value default changeable',
    'SHOW VERSION': 'version',
    'SHOW LISTS': 'list items',
    'SHOW USERS':
      'name pool_size reserve_pool_size pool_mode max_user_connections current_connections max_user_client_connections current_client_connections',
  };
  for (const [words, expected] of Object.entries(COLUMNS)) {
    it(`keep their columns and order: ${words}`, () => assert.equal(columnsOf(words), expected));
  }

  it('SHOW POOLS sums the shards of one database and user, so that no couple comes twice', async () => {
    const rows = await run('SHOW POOLS');
    assert.equal(rows.length, 1);
    assert.deepEqual(
      [rows[0]!['database'], rows[0]!['user'], rows[0]!['cl_active'], rows[0]!['cl_waiting']],
      ['shop', 'app', 1, 1],
    );
    assert.deepEqual(
      [rows[0]!['sv_active'], rows[0]!['sv_idle'], rows[0]!['maxwait'], rows[0]!['maxwait_us']],
      [3, 5, 1, 500_250],
    );
  });

  it('SHOW CLIENTS and SERVERS point at each other', async () => {
    const [client] = await run('show clients');
    const [server, connecting] = await run('show servers');
    assert.equal(client!['link'], server!['ptr']);
    assert.equal(server!['link'], client!['ptr']);
    assert.equal(server!['application_name'], 'web');
    assert.equal(connecting!['state'], 'new');
    assert.equal(client!['connect_time'], '2023-11-14 22:13:20 UTC');
  });

  it('SHOW STATS tells microseconds, and averages of the last whole period', async () => {
    const before = (await run('SHOW STATS'))[0]!;
    assert.deepEqual(
      [before['total_xact_count'], before['total_xact_time'], before['total_query_time']],
      [10, 12_500, 4500],
    );
    context.stats.sample();
    control.databaseStates = [
      { ...databaseState('shop', true), transactionsTotal: 20, transactionMsTotal: 32.5 },
    ];
    context.stats.sample();
    assert.equal((await run('SHOW STATS'))[0]!['avg_xact_time'], 2000);
  });

  it('SHOW CONFIG hides passwords', async () => {
    const text = JSON.stringify(await run('SHOW CONFIG'));
    assert.match(text, /databases\.shop\.pool\.size/);
    assert.doesNotMatch(text, /secret|hidden/);
  });

  it('SHOW DATABASES tells where home is', async () => {
    const [shop, legacy] = await run('SHOW DATABASES');
    assert.deepEqual(
      [shop!['host'], shop!['port'], shop!['database'], shop!['current_client_connections']],
      ['127.0.0.1', 5431, 'shop', 2],
    );
    assert.equal(legacy!['port'], 5433);
  });
});

describe("Ringferry's words", () => {
  it('SHOW RING covers every token once and shows what moves', async () => {
    const rows = await run('SHOW RING');
    assert.equal(rows[0]!['low'], -(2n ** 63n));
    assert.equal(rows.at(-1)!['high'], 2n ** 63n - 1n);
    for (const [index, row] of rows.slice(1).entries())
      assert.equal(row['low'], (rows[index]!['high'] as bigint) + 1n);
    assert.equal(rows.filter((row) => row['migration'] === 'm0').length, 1);
  });

  it('SHOW SHARDS tells which shard does not answer, and why', async () => {
    control.unreachable.add('b');
    const [a, b] = await run('SHOW SHARDS shop');
    assert.deepEqual([a!['reachable'], b!['reachable'], b!['error']], [true, false, 'connection refused']);
    assert.equal(Math.round(Number(a!['owns_percent']) + Number(b!['owns_percent'])), 100);
    assert.doesNotMatch(JSON.stringify(await run('SHOW SHARDS')), /hidden/);
  });

  it('SHOW MIGRATIONS and SHOW MIGRATION id tell phase and progress', async () => {
    const [started] = await run("ADD SHARD d 'postgres://app:x@h/shop?sslmode=require' database=shop");
    control.advance(String(started!['id']), {
      phase: 'backfilling',
      copies: [{ source: 'a', table: 'public.orders', rows: 5, bytes: 50, estimatedRows: 20, isDone: false }],
    });
    const [row] = await run('SHOW MIGRATIONS');
    assert.deepEqual(
      [row!['phase'], row!['copied_rows'], row!['estimated_rows'], row!['share_percent']],
      ['backfilling', 5, 20, 25],
    );
    const detail = Object.fromEntries(
      (await run(`SHOW MIGRATION ${row!['id']}`)).map(({ item, value }) => [item, value]),
    );
    assert.equal(detail['copy a public.orders'], '5 of 20 rows');
    await assert.rejects(run('SHOW MIGRATION nope'), /no migration nope/);
  });

  it('SHOW TEMPLATES, PROXIES and DRIFT list what they are told', async () => {
    assert.equal((await run('SHOW TEMPLATES shop'))[0]!['mean_ms'], 1.5);
    assert.equal((await run('SHOW PROXIES'))[0]!['epochs'], 'shop:7');
    assert.equal((await run('SHOW DRIFT'))[0]!['difference'], 'column note is missing');
  });

  it('SHOW HELP has every command', async () => {
    assert.deepEqual(
      (await run('HELP')).map(({ command }) => command),
      COMMANDS.map(syntaxOf),
    );
  });
});

describe('an operation', () => {
  const ACTS: readonly (readonly [string, string])[] = [
    ['PAUSE', 'pause'],
    ['pause shop;', 'pause shop'],
    ['RESUME "shop"', 'resume shop'],
    ['KILL shop', 'kill shop'],
    ['RECONNECT', 'reconnect'],
    ['SHUTDOWN', 'shutdown now'],
    ['SHUTDOWN WAIT_FOR_CLIENTS', 'shutdown wait'],
    ['RELOAD', 'reload'],
  ];
  for (const [text, act] of ACTS) {
    it(`reaches the server: ${text}`, async () => {
      await run(text);
      assert.deepEqual(control.acts, [act]);
    });
  }

  it('of migrations reaches the one named', async () => {
    await run('REBALANCE');
    for (const action of ['VERIFY', 'PAUSE', 'RESUME', 'CUTOVER', 'ROLLBACK', 'FINISH', 'ABORT'])
      await run(`MIGRATE ${action} m1`);
    assert.deepEqual(control.acts.slice(1), [
      'verify m1',
      'pause m1',
      'resume m1',
      'cutover m1',
      'rollback m1',
      'finish m1',
      'abort m1',
    ]);
  });

  it('ADD SHARD takes options after the URL, even one with = in it', async () => {
    await run('ADD SHARD d postgres://app@h/shop?sslmode=require cutover=manual finish=after=10m parallel=2');
    assert.deepEqual(JSON.parse(control.acts[0]!.slice('start '.length)), {
      database: 'shop',
      kind: 'add-shard',
      shard: 'd',
      url: 'postgres://app@h/shop?sslmode=require',
      options: { cutover: 'manual', finish: { afterMs: 600_000 }, parallel: 2 },
    });
  });

  it('EXPLAIN ADD SHARD says what would move and what forbids it, and starts nothing', async () => {
    const items = (await run('EXPLAIN ADD SHARD d postgres://bad/shop')).map(({ item, problem }) => [
      item,
      problem,
    ]);
    assert.deepEqual(items, [
      ['move', null],
      ['copy', null],
      ['blocker', 'wal_level is replica'],
    ]);
    assert.deepEqual(control.acts, []);
  });

  it('asks which database when there are several of the same kind', async () => {
    control.databaseStates = [databaseState('shop', true), databaseState('crm', true)];
    await assert.rejects(run('REMOVE SHARD d'), {
      message: 'say which database is meant',
      hint: 'The databases are shop, crm.',
    });
    await run('REMOVE SHARD d database=crm');
    assert.match(control.acts[0]!, /"database":"crm","kind":"remove-shard"/);
  });
});

describe('a wrong command', () => {
  const WRONG: readonly (readonly [string, RegExp, RegExp])[] = [
    ['SELEKT 1', /"SELEKT 1" is not known/, /SHOW HELP/],
    ['SHOW POOL', /"SHOW POOL" is not known/, /SHOW POOLS/],
    ['SHOW', /"SHOW" is not known/, /SHOW POOLS/],
    ['MIGRATE FLY m1', /not known/, /MIGRATE CUTOVER/],
    ['EXPLAIN SELECT 1', /not known/, /EXPLAIN ROUTE/],
    ['KILL', /database is missing/, /KILL <database>/],
    ['MIGRATE ABORT', /id is missing/, /MIGRATE ABORT <id>/],
    ['SHOW POOLS shop', /one word too many/, /SHOW POOLS/],
    ['PAUSE shop legacy', /one word too many/, /PAUSE \[database\]/],
    ['ADD SHARD d u x', /one word too many/, /ADD SHARD <name> \[url\] \[database=…\]/],
    ['PAUSE nowhere', /no database nowhere/, /shop, legacy/],
    ['SHUTDOWN softly', /not known/, /WAIT_FOR_CLIENTS/],
    ['ADD SHARD d u cutover=maybe', /cutover=maybe/, /auto or manual/],
    ['ADD SHARD d u finish=after=10', /finish=after=10/, /after=10m/],
    ['ADD SHARD d u parallel=0', /parallel=0/, /number/],
  ];
  for (const [text, message, hint] of WRONG) {
    it(`is refused with what to write: ${text}`, async () => {
      await assert.rejects(run(text), (error: Error & { hint?: string }) => {
        assert.match(error.message, message);
        assert.match(error.hint ?? '', hint);
        return true;
      });
      assert.deepEqual(control.acts, []);
    });
  }
});
