import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CLI } from '../integration/harness.js';
import { ringferry } from './fake-io.js';

const DEADLINE_MS = 20_000;

let folder: string;
let config: string;
let running: Served[] = [];

/** `ringferry serve` as a process of its own. */
class Served {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  text = '';

  constructor(...words: string[]) {
    this.process = spawn(CLI[0], [CLI[1], 'serve', ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.ended = new Promise((resolve) => this.process.once('exit', (status) => resolve(status)));
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        this.text += chunk.toString();
      });
    }
    running.push(this);
  }

  async says(pattern: RegExp): Promise<string> {
    const until = Date.now() + DEADLINE_MS;
    while (!pattern.test(this.text)) {
      const isOver = this.process.exitCode !== null && !pattern.test(this.text);
      assert.ok(Date.now() < until && !isOver, `it did not say ${pattern} but: ${this.text}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return pattern.exec(this.text)![1] ?? '';
  }
}

/** A configuration on free ports whose only shard does not answer: the proxy must run all the same. */
function configText(
  listen = '{ postgres: "127.0.0.1:0", admin: "127.0.0.1:0", http: "127.0.0.1:0" }',
): string {
  return `listen: ${listen}\nusers: [ { name: app, password: secret } ]\nstore: { kind: file, path: state }\ndatabases: { shop: { shards: { a: { url: postgres://127.0.0.1:23009/shop } } } }\n`;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringferry-serve-'));
  config = join(folder, 'r.yaml');
  writeFileSync(config, configText());
});
afterEach(async () => {
  for (const { process: child, ended } of running) {
    child.kill('SIGKILL');
    await ended;
  }
  running = [];
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

describe('ringferry serve', () => {
  it('says where it listens, answers the other commands there, and ends with 0 at SIGTERM', async () => {
    const served = new Served('-c', config);
    const admin = await served.says(/control +(127\.0\.0\.1:\d+) +psql/);
    assert.match(served.text, /Postgres +127\.0\.0\.1:\d+ +psql -h 127\.0\.0\.1 -p \d+ shop\n/);
    const { out } = await ringferry(['admin', 'SHOW VERSION', '--admin', admin]);
    assert.match(out, /Ringferry \d+\.\d+\.\d+/);
    const http = await served.says(/dashboard +(http:\S+)/);
    assert.equal((await fetch(`${http}healthz`)).status, 200);
    const ready = await fetch(`${http}readyz`);
    assert.equal(ready.status, 503);
    assert.match(JSON.stringify(await ready.json()), /"shard":"a"/);
    served.process.kill('SIGTERM');
    assert.equal(await served.ended, 0);
  });

  it('says it as JSON with --json', async () => {
    const served = new Served('-c', config, '--json');
    const line = await served.says(/^(\{"version".*\})$/m);
    assert.equal(JSON.parse(line).listening.admin.host, '127.0.0.1');
    served.process.kill('SIGINT');
    assert.equal(await served.ended, 0);
  });

  it('reads the configuration again at SIGHUP, and goes on with the one before when it has mistakes', async () => {
    const served = new Served('-c', config);
    await served.says(/dashboard/);
    writeFileSync(config, `${configText()}workrs: 1\n`);
    served.process.kill('SIGHUP');
    await served.says(/r\.yaml:5:1: workrs: is not a setting[\s\S]*stays in force/);
    writeFileSync(config, configText().replace('secret', 'changed'));
    served.process.kill('SIGHUP');
    await served.says(/r\.yaml read again/);
    served.process.kill('SIGTERM');
    assert.equal(await served.ended, 0);
  });

  it('ends with 0 at SHUTDOWN on the control port', async () => {
    const served = new Served('-c', config);
    const admin = await served.says(/control +(127\.0\.0\.1:\d+)/);
    await ringferry(['admin', 'SHUTDOWN', '--admin', admin]);
    assert.equal(await served.ended, 0);
  });

  for (const role of ['postgres', 'admin', 'http']) {
    it(`ends with 1 and says that the port is taken: ${role}`, async () => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
      const { port } = taken.address() as { port: number };
      const listen = { postgres: '127.0.0.1:0', admin: false, http: false, [role]: `127.0.0.1:${port}` };
      writeFileSync(config, configText(JSON.stringify(listen)));
      const served = new Served('-c', config);
      await served.says(
        new RegExp(
          `^ringferry: cannot listen for .* at 127\\.0\\.0\\.1:${port}: .*\\n {2}Something listens there already: `,
          'm',
        ),
      );
      assert.equal(await served.ended, 1);
      taken.close();
    });
  }

  it('ends with 1 and tells the mistakes of the configuration', async () => {
    writeFileSync(config, 'users: []\n');
    const served = new Served('-c', config);
    await served.says(/r\.yaml:1:8: users: is empty/);
    assert.equal(await served.ended, 1);
  });
});
