import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { CAPABILITY, MARIADB_CAPABILITY } from '../../src/mysql/capabilities.js';
import { encodeQuery } from '../../src/mysql/commands.js';
import { lastFirst } from '../cluster.js';
import { startRingferry } from '../integration/harness.js';
import { runMysql, startMariadb } from '../mariadb.js';
import { conversation, type LoginFacts } from './conversation.js';
import { CAPABILITIES } from './raw-client.js';

const atEnd = lastFirst(after);
// A second between two reports is the least that the server can be told.
const [a] = await startMariadb(atEnd, { count: 1, settings: { 'progress-report-time': '1' } });
await runMysql(
  a!.url(''),
  'CREATE DATABASE shop',
  'USE shop',
  'CREATE TABLE t (id int PRIMARY KEY)',
  'INSERT INTO t SELECT seq FROM seq_1_to_250',
);
const start = (mode: string) => startRingferry(atEnd, { engine: 'mysql', shards: { a: a! }, pool: { mode } });
const doors = { transaction: await start('transaction'), session: await start('session') };

/** Hashes so many bytes for each row. */
const alter = (bytes: number) =>
  `ALTER TABLE t ADD COLUMN h varchar(200) AS (SHA2(REPEAT(id % 10, ${bytes}), 512)) PERSISTENT, ALGORITHM=COPY`;
const UNDO = encodeQuery('ALTER TABLE t DROP COLUMN h');
const withMariadb = (mariadbCapabilities: number, form = 0): LoginFacts => ({
  capabilities: ((CAPABILITIES & ~CAPABILITY.LONG_PASSWORD) | form) >>> 0,
  mariadbCapabilities,
});

const HEAD = '\xff\xff\xff';
const isReport = (packet: string) => packet.slice(packet.indexOf(' ') + 1).startsWith(HEAD);

/** Twice as much work as makes this machine's server report. */
async function slowText(): Promise<string> {
  for (let bytes = 50_000; ; bytes *= 2) {
    const facts = withMariadb(MARIADB_CAPABILITY.PROGRESS);
    const [answer] = await conversation(a!.port, facts, [encodeQuery(alter(bytes)), UNDO]);
    assert.match(answer!.at(-2)!, /Records: 250 /, 'the column was added');
    if (answer!.some(isReport)) return alter(bytes * 2);
  }
}

const SLOW_TEXT = await slowText();
const SLOW = encodeQuery(SLOW_TEXT);

/** The packets that answer the slow statement. */
async function told(port: number, facts: LoginFacts): Promise<string[]> {
  const [answer] = await conversation(port, facts, [SLOW, UNDO]);
  return answer!.slice(0, -1);
}

describe('reports of how far a statement has come', () => {
  for (const [name, door] of Object.entries(doors)) {
    test(`come to a client that asks for them, numbered like all of its answer (${name})`, async () => {
      for (const form of [0, CAPABILITY.DEPRECATE_EOF]) {
        const facts = withMariadb(MARIADB_CAPABILITY.PROGRESS, form);
        const answer = await told(door.ports.mysql!, facts);
        const reports = answer.slice(0, -1);
        assert.ok(reports.length > 0, 'the server has reported');
        assert.ok(reports.every(isReport), reports.join('\n'));
        assert.deepEqual(
          answer.map((packet) => Number.parseInt(packet, 10)),
          answer.map((_, index) => index + 1),
        );
        assert.match(answer.at(-1)!, /^\d+ \0.*Records: 250 /s);
      }
    });

    test(`do not come to others (${name})`, async () => {
      for (const facts of [
        { capabilities: CAPABILITIES },
        withMariadb(MARIADB_CAPABILITY.STMT_BULK_OPERATIONS),
      ]) {
        const answer = await told(door.ports.mysql!, facts);
        assert.equal(answer.length, 1, answer.join('\n'));
        assert.match(answer[0]!, /^1 \0.*Records: 250 /s);
      }
    });
  }

  test('come between two results, in the middle of the same answer', async () => {
    const facts = withMariadb(MARIADB_CAPABILITY.PROGRESS);
    const two = encodeQuery(`SELECT 1; ${SLOW_TEXT}`);
    for (const port of [a!.port, doors.transaction.ports.mysql!]) {
      const [answer] = await conversation(port, facts, [two, UNDO]);
      const shown = answer!.slice(0, -1);
      assert.deepEqual(
        shown.map((packet) => Number.parseInt(packet, 10)),
        shown.map((_, index) => index + 1),
      );
      assert.ok(!shown.slice(0, 5).some(isReport), 'first the rows');
      assert.ok(shown.slice(5, -1).length > 0 && shown.slice(5, -1).every(isReport), 'then the reports');
      assert.ok(shown[4]!.endsWith('\xfe\0\0\x0a\0'), `more is to come: ${shown[4]}`);
    }
  });
});
