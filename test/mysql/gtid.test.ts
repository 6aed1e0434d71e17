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
  const gtid = (sequence: bigint, uuid = A) => ({ uuid, sequence });
  assert.ok(set.holds(gtid(5n)) && set.holds(gtid(7n)) && !set.holds(gtid(6n)) && !set.holds(gtid(9n)));
  assert.ok(!set.covers(GtidPosition.parse(`${A}:5-7`)) && set.covers(GtidPosition.parse(`${A}:2-4:7`)));
  const filled = set.with(gtid(6n));
  assert.equal(filled.toString(), `${B}:9,${A}:1-7`);
  assert.equal(filled.with(gtid(6n)).with(gtid(9n)).with(gtid(1n, B)).toString(), `${B}:1:9,${A}:1-7:9`);
  assert.ok(filled.covers(set) && !set.covers(filled) && !set.covers(GtidPosition.parse('0-1-1')));
});

test('other texts are no positions, tags neither', () => {
  for (const text of ['x', '1-1', `${A}`, `${A}:`, `${A}:tag:1`, `${A}:1-`, 'bin.000001:4'])
    assert.throws(() => GtidPosition.parse(text), /not a position in a log/, text);
});

test('a transaction of MySQL begins by what stands behind its GTID; tags and phases are refused by name', () => {
  const event = (gtid: string) => ({ gtid }) as ZongjiEvent;
  const gtid = mysqlGtidOf(event(`${A.toUpperCase()}:12`));
  assert.deepEqual(gtid, { uuid: A, sequence: 12n });
  assert.throws(
    () => mysqlGtidOf(event(`${A}:shop:12`)),
    /holds the GTID .*:shop:12, which is not supported/,
  );
  const query = (sql: string) => ({ type: 'query', sql, schema: 'shop' }) as const;
  const kinds = (sql: string) =>
    mysqlBegin(gtid, query(sql)).map((each) => (each.type === 'begin' ? each.kind : each.type));
  assert.deepEqual(kinds('BEGIN'), ['ordinary']);
  assert.deepEqual(kinds('TRUNCATE TABLE t'), ['single', 'query']);
  for (const sql of ["XA START X'61',X'',1", "XA COMMIT X'61',X'',1"])
    assert.throws(() => kinds(sql), /transaction in two phases \(XA\) of MySQL: XA/);
});
