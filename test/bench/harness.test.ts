import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { describe, test } from 'node:test';
import { withPart } from '../../bench/harness/markdown.js';
import { runScenario } from '../../bench/harness/run-scenario.js';
import type { Contender, Scenario } from '../../bench/harness/scenario.js';
import { Servers } from '../../bench/harness/servers.js';
import { median, medianRatio } from '../../bench/harness/statistics.js';
import { underLoad, type Work } from '../../bench/harness/target.js';
import { WireClient } from '../../bench/harness/wire-client.js';

const OPTIONS = { rounds: 3, seconds: 1, scale: 1, isQuick: true };

const work = (statements: number): Work => ({
  value: 1,
  statements,
  transactions: statements,
  connections: 1,
});

describe('a benchmark', () => {
  test('takes the median of the ratios of rounds, not the ratio of medians', () => {
    assert.equal(median([5, 1, 3]), 3);
    assert.equal(median([1, 2, 3, 4]), 2.5);
    assert.equal(medianRatio([10, 40, 90], [10, 20, 30]), 2);
  });

  test('rejects a load that the proxy did not see, and one that did nothing', async () => {
    let seen = 0;
    const counter = { counts: 'statements' as const, read: async () => seen };
    const target = { port: 1, database: 'x', counter };
    await assert.rejects(
      underLoad(target, async () => work(100)),
      /the load counts 100 statements, the proxy only 0/,
    );
    await assert.rejects(
      underLoad(target, async () => work(0)),
      /did nothing/,
    );
    const sample = await underLoad(target, async () => {
      seen += 100;
      return work(100);
    });
    assert.equal(sample.value, 1);
  });

  test('goes on without a contender that fails, and says that the scenario failed', async () => {
    const order: string[] = [];
    const contender = (name: string, act: () => number): Contender => ({
      name,
      measure: async () => {
        order.push(name);
        return { value: act() };
      },
    });
    const result = await runScenario(
      scenarioOf([
        contender('a', () => 2),
        contender('b', () => {
          throw new Error('broken');
        }),
        { ...contender('c', () => 8), warmsUp: true },
      ]),
      OPTIONS,
      new Servers(OPTIONS),
      () => {},
    );
    assert.equal(order.join(' '), 'c c c a b c a c a c');
    assert.equal(result.outcome, 'failed');
    assert.match(result.reason ?? '', /b: broken/);
    const [a, b, c] = result.comparisons[0]!.contenders;
    assert.deepEqual([a!.samples.length, b!.samples.length, c!.samples.length], [3, 0, 3]);
    assert.equal(c!.ratio, 4);
    assert.equal(result.comparisons[0]!.verdicts[0]!.isMet, true);
  });

  test('replaces its own part of the page and keeps what stands around it', () => {
    const page = withPart(withPart('# Prose\n', 's1', 'old figures'), 's2', 'others');
    const next = withPart(`${page}\nMore prose.\n`, 's1', 'new figures');
    assert.ok(!next.includes('old figures'));
    for (const kept of ['# Prose', 'new figures', 'others', 'More prose.'])
      assert.ok(next.includes(kept), kept);
  });

  test('counts rows wherever the bytes of an answer are cut', async () => {
    const answer = Buffer.concat([
      frame('T', 'columns'),
      frame('D', 'one'),
      frame('D', ''),
      frame('C', 'SELECT 2\0'),
      frame('Z', 'I'),
    ]);
    for (let cut = 1; cut < answer.length; cut++) {
      const { server, port } = await serveCut(answer, cut);
      const client = await WireClient.login(port, 'x');
      assert.deepEqual(await client.query('SELECT'), { bytes: answer.length, rows: 2 });
      client.close();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

function scenarioOf(contenders: readonly Contender[]): Scenario {
  const figure = { label: 'points', decimals: 0 };
  const bounds = [{ goal: 'S0', contender: 'c', of: 'ratio' as const, atLeast: 4 }];
  const comparisons = [{ name: 'all', figure, contenders, peer: 'a', bounds }];
  return { name: 's0', title: '', about: '', programs: [], setUp: async () => ({ comparisons }) };
}

function frame(code: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(4 + body.length);
  return Buffer.concat([Buffer.from(code), length, Buffer.from(body)]);
}

/** Answers a login with ReadyForQuery, and whatever comes then with these bytes in two parts. */
async function serveCut(answer: Buffer, cut: number): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.once('data', () => {
      socket.write(frame('Z', 'I'));
      socket.once('data', () => {
        socket.write(answer.subarray(0, cut));
        setImmediate(() => socket.write(answer.subarray(cut)));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as { port: number }).port };
}
