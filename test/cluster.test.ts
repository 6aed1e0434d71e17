import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeArguments, sourceUrl } from './child-program.js';
import { type After, runSql, startPostgres } from './cluster.js';

const after = (t: TestContext): After => t.after.bind(t);

for (const version of [15, 18] as const) {
  test(`two servers of PostgreSQL ${version} run beside each other and can be moved between by the log`, async (t) => {
    const [one, two] = await startPostgres(after(t), { version, count: 2 });
    for (const server of [one!, two!]) {
      const rows = await runSql(
        server.url(),
        "SELECT current_setting('wal_level') AS level, current_setting('server_version_num')::int / 10000 AS version, current_setting('server_encoding') AS encoding",
      );
      assert.deepEqual(rows, [{ level: 'logical', version, encoding: 'UTF8' }]);
    }
    assert.notEqual(one!.port, two!.port);
    assert.ok(one!.port < 32768);
  });
}

test('a crashed server comes back on its port with what was committed', async (t) => {
  const [server] = await startPostgres(after(t));
  await runSql(server!.url(), 'CREATE TABLE kept (id int)', 'INSERT INTO kept VALUES (1)');
  await server!.crash();
  await assert.rejects(runSql(server!.url(), 'SELECT 1'), /ECONNREFUSED/);
  await server!.start();
  assert.deepEqual(await runSql(server!.url(), 'SELECT * FROM kept'), [{ id: 1 }]);
});

test('a frozen server answers only after it is thawed', async (t) => {
  const [server] = await startPostgres(after(t));
  await server!.freeze();
  let hasAnswered = false;
  const answer = runSql(server!.url(), 'SELECT 1 AS one').finally(() => (hasAnswered = true));
  await sleep(200);
  assert.equal(hasAnswered, false);
  await server!.thaw();
  assert.deepEqual(await answer, [{ one: 1 }]);
});

test('passwords are asked for when the cluster wants them', async (t) => {
  const [server] = await startPostgres(after(t), { auth: 'scram-sha-256' });
  await runSql(server!.url(), "CREATE ROLE app LOGIN PASSWORD 'secret'");
  await assert.rejects(
    runSql(server!.url('postgres', 'app:wrong'), 'SELECT 1'),
    /password authentication failed/,
  );
  assert.deepEqual(await runSql(server!.url('postgres', 'app:secret'), 'SELECT 1 AS one'), [{ one: 1 }]);
});

test('a fresh cluster that servers leave is what the next ones begin as, whatever their settings', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-templates-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o711);
  const template = join(folder, 'cluster');
  const facts = 'SELECT system_identifier, current_setting($$work_mem$$) AS memory FROM pg_control_system()';
  const [first] = await startPostgres(after(t), { template, settings: { work_mem: '5MB' } });
  const [fact] = await runSql(first!.url(), 'CREATE TABLE mine (id int)', facts);
  const later = await startPostgres(after(t), { template, count: 2, settings: { work_mem: '6MB' } });
  for (const server of later) {
    assert.deepEqual(await runSql(server.url(), facts), [{ ...fact, memory: '6MB' }]);
    assert.deepEqual(await runSql(server.url(), "SELECT to_regclass('mine') AS mine"), [{ mine: null }]);
  }
  assert.deepEqual(await readdir(folder), ['cluster']);
});

test('nothing is left of the servers of a process that was killed with SIGKILL', async () => {
  const script = `import { startPostgres } from '${sourceUrl('test/cluster')}';
    const [server] = await startPostgres(() => {});
    console.log(JSON.stringify({ folder: server.folder, processId: server.processId }));`;
  const child = spawn(process.execPath, codeArguments(script), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve) =>
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  const { folder, processId } = JSON.parse(line) as { folder: string; processId: number };
  assert.ok(existsSync(folder));
  child.kill('SIGKILL');
  for (let i = 0; i < 100 && existsSync(folder); i++) await sleep(50);
  assert.equal(existsSync(folder), false);
  assert.throws(() => process.kill(processId, 0), /ESRCH/);
});
