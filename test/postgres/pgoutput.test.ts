import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import { formatLsn, laterLsn, parseLsn } from '../../src/postgres/lsn.js';
import { decodePgoutput, type PgoutputMessage } from '../../src/postgres/pgoutput.js';
import { runSql, startPostgres } from '../cluster.js';

/** What PostgreSQL 15 sent for inserts, updates and deletes on `t` (id, v, m, big; default identity) and `f` (a, b; identity full). */
const RECORDED: readonly [hex: string, message: PgoutputMessage][] = [
  [
    '42000000000150b6b0000303c0abd51406000002db',
    { type: 'begin', commitLsn: 0x150b6b0n, committedAtMicros: 848_550_981_604_358n, xid: 731 },
  ],
  ['59000040017075626c6963006d6f6f6400', { type: 'type' }],
  [
    '52000040037075626c69630074006400040169640000000017ffffffff00760000000019ffffffff006d0000004001ffffffff006269670000000019ffffffff',
    {
      type: 'relation',
      id: 16387,
      schema: 'public',
      name: 't',
      identity: 'd',
      columns: [
        { name: 'id', isIdentity: true, typeOid: 23, typeModifier: -1 },
        { name: 'v', isIdentity: false, typeOid: 25, typeModifier: -1 },
        { name: 'm', isIdentity: false, typeOid: 16385, typeModifier: -1 },
        { name: 'big', isIdentity: false, typeOid: 25, typeModifier: -1 },
      ],
    },
  ],
  [
    '49000040034e0004740000000132 6e6e6e',
    { type: 'insert', relation: 16387, after: [Buffer.from('2'), null, null, null] },
  ],
  // The large value did not change: `u`, and no old row.
  [
    '55000040034e0004740000000131740000000162740000000373616475',
    {
      type: 'update',
      relation: 16387,
      beforeKind: 'none',
      before: undefined,
      after: [Buffer.from('1'), Buffer.from('b'), Buffer.from('sad'), undefined],
    },
  ],
  [
    '55000040034b00047400000001326e6e6e4e00047400000001336e6e6e',
    {
      type: 'update',
      relation: 16387,
      beforeKind: 'key',
      before: [Buffer.from('2'), null, null, null],
      after: [Buffer.from('3'), null, null, null],
    },
  ],
  [
    '44000040034b00047400000001336e6e6e',
    { type: 'delete', relation: 16387, beforeKind: 'key', before: [Buffer.from('3'), null, null, null] },
  ],
  [
    '4300000000000150b6b0000000000150b6e0000303c0abd51406',
    { type: 'commit', commitLsn: 0x150b6b0n, endLsn: 0x150b6e0n },
  ],
  [
    '550000400a4f00027400000001317400000001784e00027400000001317400000000',
    {
      type: 'update',
      relation: 16394,
      beforeKind: 'full',
      before: [Buffer.from('1'), Buffer.from('x')],
      after: [Buffer.from('1'), Buffer.from('')],
    },
  ],
  [
    '440000400a4f00027400000001317400000000',
    { type: 'delete', relation: 16394, beforeKind: 'full', before: [Buffer.from('1'), Buffer.from('')] },
  ],
  ['5400000002000000400a00004003', { type: 'truncate', relations: [16394, 16387] }],
  [
    '4d01000000000150cbc072696e67666572727900000000046d61726b',
    { type: 'message', isTransactional: true, lsn: 0x150cbc0n, prefix: 'ringferry' },
  ],
  [
    '4d00000000000150ce406f74686572000000000178',
    { type: 'message', isTransactional: false, lsn: 0x150ce40n, prefix: 'other' },
  ],
  ['4f0000000000000000656c7365776865726500', { type: 'origin', name: 'elsewhere' }],
];

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

test('every kind of message is read as the server meant it', () => {
  for (const [hex, message] of RECORDED) assert.deepEqual(decodePgoutput(bytes(hex)), message);
});

test('a message cut anywhere, or with bytes too many, is a protocol violation and never a wrong row', () => {
  for (const [hex] of RECORDED) {
    const whole = bytes(hex);
    for (let length = 0; length < whole.length; length++) {
      assert.throws(
        () => decodePgoutput(whole.subarray(0, length)),
        { code: 'protocol-violation' },
        `${hex} cut to ${length}`,
      );
    }
    assert.throws(() => decodePgoutput(Buffer.concat([whole, Buffer.from([0])])), {
      code: 'protocol-violation',
    });
  }
});

test('garbage is a protocol violation', () => {
  let seed = 1;
  const next = (): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) >>> 16;
  for (let round = 0; round < 5_000; round++) {
    const garbage = Buffer.from(Array.from({ length: next() % 40 }, () => next() & 255));
    const kinds = 'BCORYIUDTMX';
    if (garbage.length > 0) garbage[0] = kinds.charCodeAt(next() % kinds.length);
    try {
      decodePgoutput(garbage);
    } catch (error) {
      assert.equal(
        (error as { code?: string }).code,
        'protocol-violation',
        `${garbage.toString('hex')}: ${error}`,
      );
    }
  }
});

test('positions are read and written as the server does, and ordered as numbers', () => {
  for (const text of ['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF', '1/A'])
    assert.equal(formatLsn(parseLsn(text)), text);
  assert.ok(parseLsn('10/0') > parseLsn('9/FFFFFFFF'));
  assert.equal(laterLsn(3n, 5n), 5n);
  for (const text of ['', '1', '1/', 'x/1', '1/123456789', '-1/0'])
    assert.throws(() => parseLsn(text), RangeError);
});

for (const version of [15, 18] as const) {
  test(`PostgreSQL ${version} sends nothing that is not understood`, async () => {
    const [server] = await startPostgres(atEnd, { version });
    const rows = await runSql(
      server!.url('postgres'),
      `CREATE TYPE mood AS ENUM ('sad')`,
      'CREATE TABLE t (id int PRIMARY KEY, v text, m mood, big text, g int GENERATED ALWAYS AS (id * 2) STORED)',
      'ALTER TABLE t ALTER big SET STORAGE EXTERNAL',
      'CREATE TABLE f (a int, b text); ALTER TABLE f REPLICA IDENTITY FULL',
      'CREATE PUBLICATION p FOR TABLE t, f',
      `SELECT pg_create_logical_replication_slot('s', 'pgoutput')`,
      `SELECT pg_replication_origin_create('elsewhere')`,
      `INSERT INTO t VALUES (1, 'é', 'sad', repeat('x', 3000)), (2, NULL, NULL, NULL)`,
      `UPDATE t SET v = 'b' WHERE id = 1`,
      'UPDATE t SET id = 3 WHERE id = 2',
      'DELETE FROM t WHERE id = 3',
      `INSERT INTO f VALUES (1, 'x'); UPDATE f SET b = ''; DELETE FROM f; TRUNCATE f, t`,
      `SELECT pg_logical_emit_message(true, 'ringferry', 'mark')`,
      `SELECT pg_replication_origin_session_setup('elsewhere'); INSERT INTO f VALUES (2, 'y')`,
      `SELECT data FROM pg_logical_slot_peek_binary_changes('s', NULL, NULL, 'proto_version', '1', 'publication_names', 'p', 'messages', 'true')`,
    );
    const messages = rows.map((row) => decodePgoutput(row['data'] as Buffer));
    const kinds = new Set<string>(messages.map((message) => message.type));
    for (const kind of [
      'begin',
      'commit',
      'origin',
      'relation',
      'type',
      'insert',
      'update',
      'delete',
      'truncate',
      'message',
    ])
      assert.ok(kinds.has(kind), kind);
    const insert = messages.find((message) => message.type === 'insert')!;
    assert.deepEqual(
      insert.type === 'insert' && insert.after.map((cell) => cell?.length),
      [1, 2, 3, 3000],
      'generated columns are not sent',
    );
  });
}
