import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mysqlBegin, mysqlGtidOf, type ZongjiEvent } from '../../src/mysql/binlog-events.js';
import { GtidPosition } from '../../src/mysql/gtid.js';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '2c256447-3f0d-431b-9a25-bddf1f1f6ef6';

test('a MariaDB position covers what no domain of it is behind of', () => {
  const position = GtidPosition.parse('1-1-10, 2-7-3');
  assert.equal(position.toString(), '1-1-10,2-7-3');
  assert.ok(position.covers(GtidPosition.parse('1-9-10')) && position.covers(GtidPosition.start));
  assert.ok(!position.covers(GtidPosition.parse('1-1-11')) && !position.covers(GtidPosition.parse('3-1-1')));
  const next = position.with({ domain: 2, server: 1, sequence: 4n });
  assert.equal(next.toString(), '1-1-10,2-1-4');
  assert.ok(next.holds({ domain: 2, server: 7, sequence: 3n }));
});

test('a set of MySQL holds exactly its numbers, in whatever order they come', () => {
  const set = GtidPosition.parse(`${A.toUpperCase()}:7:1-3:4-5,\n${B}:9`);
  assert.equal(set.toString(), `${B}:9,${A}:1-5:7`);
  const gtid = (sequence: bigint, source = A) => ({ source, sequence });
  assert.ok(set.holds(gtid(5n)) && set.holds(gtid(7n)) && !set.holds(gtid(6n)) && !set.holds(gtid(9n)));
  assert.ok(!set.covers(GtidPosition.parse(`${A}:5-7`)) && set.covers(GtidPosition.parse(`${A}:2-4:7`)));
  const filled = set.with(gtid(6n));
  assert.equal(filled.toString(), `${B}:9,${A}:1-7`);
  assert.equal(filled.with(gtid(6n)).with(gtid(9n)).with(gtid(1n, B)).toString(), `${B}:1:9,${A}:1-7:9`);
  assert.ok(filled.covers(set) && !set.covers(filled) && !set.covers(GtidPosition.parse('0-1-1')));
});

test('a tag has numbers of its own', () => {
  const set = GtidPosition.parse(`${A}:1-3:Shop:1:app_2:5-6:7, ${B}:only:1`);
  assert.equal(set.toString(), `${B}:only:1,${A}:1-3,${A}:app_2:5-7,${A}:shop:1`);
  assert.equal(GtidPosition.parse(set.toString()).toString(), set.toString());
  assert.ok(
    set.covers(GtidPosition.parse(`${A}:2:shop:1`)) && !set.covers(GtidPosition.parse(`${A}:shop:2`)),
  );
  const next = set.with({ source: `${A}:shop`, sequence: 2n });
  assert.ok(next.holds({ source: `${A}:shop`, sequence: 2n }) && next.holds({ source: A, sequence: 2n }));
  assert.ok(!set.holds({ source: `${B}`, sequence: 1n }));
});

test('other texts are no positions', () => {
  for (const text of ['x', '1-1', `${A}`, `${A}:`, `${A}:tag`, `${A}:1:tag`, `${A}:1-`, 'bin.000001:4'])
    assert.throws(() => GtidPosition.parse(text), /not a position in a log/, text);
});

test('a transaction of MySQL begins by what stands behind its GTID', () => {
  const event = (gtid: string) => ({ gtid }) as ZongjiEvent;
  const gtid = mysqlGtidOf(event(`${A.toUpperCase()}:12`));
  assert.deepEqual(gtid, { source: A, sequence: 12n });
  assert.deepEqual(mysqlGtidOf(event(`${A}:shop:12`)), { source: `${A}:shop`, sequence: 12n });
  assert.throws(() => mysqlGtidOf(event('0-1-1')), /holds the GTID 0-1-1, which is not one/);
  const begun = (sql: string) =>
    mysqlBegin(gtid, { type: 'query', sql, schema: 'shop' }).map((each) =>
      each.type === 'begin' ? `${each.kind} ${each.xid ?? ''}` : each.type,
    );
  assert.deepEqual(begun('BEGIN'), ['ordinary ']);
  assert.deepEqual(begun('TRUNCATE TABLE t'), ['single ', 'query']);
  assert.deepEqual(begun("XA START X'61',X'',1"), ["prepared X'61',X'',1"]);
  assert.deepEqual(begun("XA COMMIT X'61',X'62',7"), ["decided X'61',X'62',7", 'query']);
  assert.deepEqual(begun("XA ROLLBACK X'61',X'',1"), ["decided X'61',X'',1", 'query']);
  assert.throws(() => begun("XA START 'a'"), /holds an XA statement that cannot be read: XA START 'a'/);
});
