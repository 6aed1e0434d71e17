import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import { COMMANDS } from '../../src/admin/commands.js';
import { Face } from '../../src/admin/face.js';
import type { RunningHttp } from '../../src/admin/http.js';
import { methodOf, pathOf } from '../../src/admin/http-api.js';
import { systemClock } from '../../src/lib/clock.js';
import { OperatingError } from '../../src/lib/errors.js';
import { FakeControl } from './fake-control.js';

const control = new FakeControl();
const face = new Face(control, systemClock);
let http: RunningHttp;
let password: string | undefined;

before(async () => {
  http = await face.startHttp({
    listen: { host: '127.0.0.1', port: 0 },
    password: () => password,
    withProcessMetrics: false,
  });
});
after(async () => {
  await http.close();
  face.close();
});
beforeEach(() => {
  password = undefined;
  control.acts.length = 0;
  control.failure = undefined;
  control.unreachable.clear();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the tests look into whatever JSON came.
  readonly json: any;
}

async function ask(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${http.address.port}${path}`, init);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text.startsWith('{') ? JSON.parse(text) : undefined,
  };
}

function post(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Answer> {
  return ask(path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
}

/** The status of a GET with a Host header of our choice, which fetch does not allow. */
function statusForHost(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port: http.address.port, path: '/api/v1/pools', headers: { host } },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    asked.on('error', reject).end();
  });
}

describe('health', () => {
  it('is well while the process lives', async () => {
    assert.equal((await ask('/healthz')).status, 200);
  });

  it('is ready when every shard answers, and not when one does not, and says which', async () => {
    assert.equal((await ask('/readyz')).status, 200);
    control.unreachable.add('b');
    // Probes are shared for half a second.
    await systemClock.sleep(600);
    const answer = await ask('/readyz');
    assert.equal(answer.status, 503);
    assert.deepEqual(
      answer.json.shards.map((shard: { shard: string; error?: string }) => [shard.shard, shard.error]),
      [
        ['a', undefined],
        ['b', 'connection refused'],
      ],
    );
    await systemClock.sleep(600);
  });
});

describe('/metrics', () => {
  it('tells counters as they are now, in the format of Prometheus', async () => {
    const { text, headers } = await ask('/metrics');
    assert.match(headers.get('content-type') ?? '', /^text\/plain/);
    assert.match(text, /^# TYPE ringferry_statements_total counter$/m);
    assert.match(text, /^ringferry_statements_total\{database="shop"\} 30$/m);
    assert.match(text, /^ringferry_servers_count\{database="shop",shard="b",phase="idle"\} 4$/m);
    assert.match(text, /^ringferry_statement_seconds_bucket\{database="shop",le="0.0005"\} 2$/m);
    assert.match(text, /^ringferry_statement_seconds_bucket\{database="shop",le="\+Inf"\} 3$/m);
    assert.match(text, /^ringferry_statement_seconds_sum\{database="shop"\} 0.0045$/m);
    assert.match(text, /^ringferry_build_info\{version="9.9.9"\} 1$/m);
  });

  it('does not add up over scrapes', async () => {
    await ask('/metrics');
    assert.match((await ask('/metrics')).text, /^ringferry_statements_total\{database="shop"\} 30$/m);
  });
});

describe('the API', () => {
  it('answers every SHOW of the table by GET', async () => {
    for (const command of COMMANDS.filter(
      ({ kind, parameters }) => kind === 'show' && !parameters.some(({ isRequired }) => isRequired),
    )) {
      const { status, json } = await ask(pathOf(command));
      assert.equal(status, 200, `${pathOf(command)}: ${JSON.stringify(json)}`);
      assert.equal(json.command, command.words);
      assert.ok(Array.isArray(json.rows));
    }
  });

  it('does not run operations by GET, nor answer SHOWs by POST', async () => {
    for (const command of COMMANDS) {
      const isGet = methodOf(command) === 'GET';
      const answer = isGet ? await post(pathOf(command)) : await ask(pathOf(command));
      assert.equal(answer.status, 405, pathOf(command));
      assert.equal(answer.headers.get('allow'), isGet ? 'GET' : 'POST');
    }
    assert.deepEqual(control.acts, []);
  });

  it('writes 64-bit tokens as text, because JSON numbers would spoil them', async () => {
    assert.equal((await ask('/api/v1/ring')).json.rows[0].low, '-9223372036854775808');
  });

  it('takes arguments from the path, the query and the body', async () => {
    assert.equal((await ask('/api/v1/shards/shop')).json.rows.length, 2);
    assert.equal((await ask('/api/v1/shards?database=shop')).json.rows.length, 2);
    await post('/api/v1/pause', { database: 'shop' });
    await post('/api/v1/resume/shop');
    assert.deepEqual(control.acts, ['pause shop', 'resume shop']);
  });

  it('starts and steers migrations', async () => {
    const { json } = await post('/api/v1/add/shard', {
      name: 'd',
      url: 'postgres://h/shop',
      cutover: 'manual',
    });
    assert.equal(json.rows[0].phase, 'planned');
    await post(`/api/v1/migrate/cutover/${json.rows[0].id}`);
    assert.equal(control.acts.at(-1), `cutover ${json.rows[0].id}`);
  });

  it('tells errors as JSON with a fitting status and what to do', async () => {
    const cases: readonly (readonly [() => Promise<Answer>, number, RegExp])[] = [
      [() => ask('/api/v1/nothing'), 404, /nothing at/],
      [() => ask('/api/v1/shards?database=nope'), 404, /no database nope/],
      [() => ask('/api/v1/shards?base=shop'), 400, /base is not known/],
      [() => ask('/api/v1/shards/shop/more'), 400, /one part too many/],
      [() => ask('/api/v1/migration'), 400, /id is missing/],
      [() => ask('/api/v1/%E0%A4%A'), 400, /not well encoded/],
      [() => post('/api/v1/pause', []), 400, /not a JSON object/],
      [
        () =>
          ask('/api/v1/pause', {
            method: 'POST',
            body: '{',
            headers: { 'content-type': 'application/json' },
          }),
        400,
        /not JSON/,
      ],
      [() => post('/api/v1/pause', { database: 'x'.repeat(70_000) }), 413, /longer than/],
      [() => ask('/elsewhere'), 404, /nothing at/],
    ];
    for (const [attempt, status, message] of cases) {
      const answer = await attempt();
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.json.error.message, message);
    }
    control.failure = new OperatingError('migration', 'another migration runs', { hint: 'Wait for it.' });
    const refused = await post('/api/v1/add/shard', { name: 'd' });
    assert.equal(refused.status, 409);
    assert.deepEqual(refused.json.error, {
      code: 'migration',
      message: 'another migration runs',
      hint: 'Wait for it.',
    });
  });
});

describe('access to the API', () => {
  it('with a password needs it, for operations, SHOWs and the dashboard; metrics and health stay open', async () => {
    password = 'opensesame';
    for (const path of ['/api/v1/pools', '/', '/api/v1/events'])
      assert.equal((await ask(path)).status, 401, path);
    assert.equal((await post('/api/v1/pause')).status, 401);
    for (const path of ['/metrics', '/healthz', '/readyz']) assert.equal((await ask(path)).status, 200, path);
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
    assert.equal((await ask('/api/v1/pools', { headers: basic('anyone:opensesame') })).status, 200);
    assert.equal(
      (await ask('/api/v1/pools', { headers: { authorization: 'Bearer opensesame' } })).status,
      200,
    );
    assert.equal((await ask('/api/v1/pools', { headers: basic('anyone:wrong') })).status, 401);
    assert.equal((await ask('/api/v1/pools', { headers: { authorization: 'opensesame' } })).status, 401);
    assert.deepEqual(control.acts, []);
  });

  it('without a password is refused under a name that is not of this machine (DNS rebinding)', async () => {
    assert.equal(await statusForHost('evil.example'), 403);
    assert.equal(await statusForHost('127.0.0.1:9432'), 200);
    assert.equal(await statusForHost('[::1]:9432'), 200);
    assert.equal(await statusForHost('localhost'), 200);
  });

  it('for operations refuses what a form or a script of another page can send', async () => {
    assert.equal(
      (
        await ask('/api/v1/shutdown', {
          method: 'POST',
          body: '{}',
          headers: { 'content-type': 'text/plain' },
        })
      ).status,
      415,
    );
    assert.equal((await post('/api/v1/shutdown', {}, { origin: 'https://evil.example' })).status, 403);
    assert.deepEqual(control.acts, []);
    assert.equal(
      (await post('/api/v1/shutdown', {}, { origin: `http://127.0.0.1:${http.address.port}` })).status,
      200,
    );
  });
});

describe('the dashboard', () => {
  it('is one page that needs nothing from elsewhere', async () => {
    const { status, text, headers } = await ask('/');
    assert.equal(status, 200);
    assert.match(text, /^<!doctype html>/);
    assert.doesNotMatch(text.replaceAll("xmlns='http://www.w3.org/2000/svg'", ''), /https?:\/\//);
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'/);
  });

  it('is fed by events: a picture at once, and another when a migration moves', async () => {
    const abort = new AbortController();
    const response = await fetch(`http://127.0.0.1:${http.address.port}/api/v1/events`, {
      signal: abort.signal,
    });
    assert.match(response.headers.get('content-type') ?? '', /event-stream/);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const next = async () => {
      let text = '';
      while (!text.endsWith('\n\n')) text += (await reader.read()).value ?? '';
      return JSON.parse(text.replace(/^data: /, ''));
    };
    const first = await next();
    assert.equal(first.databases[0].name, 'shop');
    assert.equal(first.databases[0].ring[0].from, 0);
    assert.equal(first.databases[0].ring.at(-1).to, 1);
    assert.doesNotMatch(JSON.stringify(first), /hidden|secret/);
    const { record } = await control.startMigration({
      database: 'shop',
      kind: 'add-shard',
      shard: 'e',
      url: undefined,
      options: {},
    });
    control.advance(record.id, { phase: 'mirroring' });
    assert.equal((await next()).migrations.at(-1).phase, 'mirroring');
    abort.abort();
  });
});
