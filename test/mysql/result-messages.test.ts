import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { OperatingError } from '../../src/lib/errors.js';
import { characterSetOf, collationIdOf, FIELD_TYPE, UNSIGNED_TYPE } from '../../src/mysql/capabilities.js';
import { renamedColumn } from '../../src/mysql/column-name.js';
import {
  decodeBinaryRow,
  decodeColumn,
  decodeColumnCount,
  decodeEof,
  decodeErr,
  decodeOk,
  decodePrepareOk,
  decodeTextRow,
  encodeBinaryRow,
  encodeColumn,
  encodeColumnCount,
  encodeEof,
  encodeErr,
  encodeOk,
  encodePrepareOk,
  encodeTextRow,
  serverError,
  withoutMetadata,
} from '../../src/mysql/result-messages.js';
import { Reader, Writer } from '../../src/mysql/wire.js';

const uint16 = fc.nat(0xffff);
const uint64 = fc.bigInt(0n, 0xffff_ffff_ffff_ffffn);
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const fields = fc.array(fc.option(bytes, { nil: undefined }), { minLength: 1, maxLength: 20 });

describe('length-encoded integers', () => {
  for (const [value, length] of [
    [0n, 1],
    [250n, 1],
    [251n, 3],
    [0xffffn, 3],
    [0x10000n, 4],
    [0xffffffn, 4],
    [0x1000000n, 9],
    [0xffff_ffff_ffff_ffffn, 9],
  ] as const) {
    test(`${value} takes ${length} bytes`, () => {
      const encoded = new Writer().lenenc(value).finish();
      assert.equal(encoded.length, length);
      assert.equal(new Reader(encoded, 'test').lenenc(), value);
    });
  }

  test('may not be 0xfb or 0xff', () => {
    for (const first of [0xfb, 0xff]) {
      assert.throws(() => new Reader(Buffer.alloc(9, first), 'test').lenenc(), OperatingError);
    }
  });
});

test('the writer loses no byte where its memory grows', () => {
  for (let length = 0; length < 300; length++) {
    const written = new Writer(1).bytes(Buffer.alloc(length)).int1(0x5a).finish();
    assert.equal(written.at(-1), 0x5a, `behind ${length} bytes`);
  }
});

describe('messages of an answer', () => {
  test('OK comes back as it went', () => {
    fc.assert(
      fc.property(
        fc.record({
          affectedRows: uint64,
          lastInsertId: uint64,
          status: uint16,
          warnings: uint16,
          info: fc.string(),
        }),
        (ok) => assert.deepEqual(decodeOk(encodeOk(ok)), { ...ok }),
      ),
    );
  });

  test('EOF, COM_STMT_PREPARE_OK and column counts come back as they went', () => {
    assert.deepEqual(decodeEof(encodeEof(0x22, 3)), { status: 0x22, warnings: 3 });
    const prepared = { statementId: 0xfffffffe, columns: 300, parameters: 2, warnings: 1 };
    assert.deepEqual(decodePrepareOk(encodePrepareOk(prepared)), prepared);
    for (const count of [0, 1, 250, 251, 4096])
      assert.equal(decodeColumnCount(encodeColumnCount(count)), count);
    assert.throws(() => decodeColumnCount(encodeColumnCount(70_000)), OperatingError);
  });

  test('ERR comes back as it went; before the login’s end there is no SQL state', () => {
    const error = { errno: 1062, sqlstate: '23000', message: 'Duplicate entry ‘ä’' };
    assert.deepEqual(decodeErr(encodeErr(error)), error);
    const early = Buffer.concat([Buffer.of(0xff, 0x10, 0x04), Buffer.from('Too many connections')]);
    assert.deepEqual(decodeErr(early), { errno: 1040, sqlstate: 'HY000', message: 'Too many connections' });
  });

  test('an ERR behind which the server closes is fatal', () => {
    const payload = encodeErr({ errno: 1927, sqlstate: '70100', message: 'Connection was killed' });
    assert.equal(serverError(payload, payload).isFatal, true);
    const harmless = encodeErr({
      errno: 1317,
      sqlstate: '70100',
      message: 'Query execution was interrupted',
    });
    assert.equal(serverError(harmless, harmless).isFatal, false);
  });

  test('text rows come back as they went, NULL too', () => {
    fc.assert(
      fc.property(fields, (row) => assert.deepEqual(decodeTextRow(encodeTextRow(row), row.length), row)),
    );
  });

  test('binary rows come back as they went, NULL too', () => {
    const sized: Readonly<Record<number, number>> = {
      [FIELD_TYPE.TINY]: 1,
      [FIELD_TYPE.YEAR]: 2,
      [FIELD_TYPE.INT24]: 4,
      [FIELD_TYPE.DOUBLE]: 8,
      [FIELD_TYPE.LONGLONG | UNSIGNED_TYPE]: 8,
    };
    const field = fc.oneof(
      ...Object.entries(sized).map(([type, size]) =>
        fc.record({
          type: fc.constant(Number(type)),
          value: fc.option(
            fc.uint8Array({ minLength: size, maxLength: size }).map((array) => Buffer.from(array)),
            { nil: undefined },
          ),
        }),
      ),
      fc.record({
        type: fc.constantFrom(
          FIELD_TYPE.VAR_STRING,
          FIELD_TYPE.DATETIME,
          FIELD_TYPE.NEWDECIMAL,
          FIELD_TYPE.BLOB,
        ),
        value: fc.option(bytes, { nil: undefined }),
      }),
    );
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 20 }), (row) => {
        const types = row.map(({ type }) => type);
        const values = row.map(({ value }) => value);
        assert.deepEqual(decodeBinaryRow(encodeBinaryRow(values, types), types), values);
      }),
    );
  });

  test('a column definition comes back as it went and keeps what the server said', () => {
    const column = {
      name: 'größe',
      typeOid: FIELD_TYPE.LONGLONG | UNSIGNED_TYPE,
      tableOid: 63,
      typeSize: 20,
      typeModifier: 0x21,
      columnNumber: 0,
    };
    const origin = { schema: 'shop', table: 'o', originalTable: 'orders', originalName: 'size' };
    const payload = encodeColumn(column, origin);
    assert.deepEqual(decodeColumn(payload), { ...column, definition: payload });
    const extended = encodeColumn(column, origin, true);
    assert.deepEqual(withoutMetadata(payload), extended);
    assert.deepEqual(decodeColumn(extended), { ...column, definition: extended });
  });

  test('garbage is a protocol violation and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (array) => {
        const payload = Buffer.from(array);
        for (const decode of [
          decodeOk,
          decodeErr,
          decodeEof,
          decodeColumn,
          decodeColumnCount,
          decodePrepareOk,
          (given: Buffer) => decodeTextRow(given, 3),
          (given: Buffer) => decodeBinaryRow(given, [3, 253, 12]),
        ]) {
          try {
            decode(payload);
          } catch (error) {
            assert.ok(error instanceof OperatingError, String(error));
            assert.equal(error.code, 'protocol-violation');
          }
        }
      }),
    );
  });
});

describe('collation ids', () => {
  test('belong to their character sets', () => {
    for (const [id, name] of [
      [8, 'latin1'],
      [33, 'utf8mb3'],
      [45, 'utf8mb4'],
      [63, 'binary'],
      [224, 'utf8mb4'],
      [255, 'utf8mb4'],
      [308, 'utf8mb4'],
    ] as const) {
      assert.equal(characterSetOf(id), name);
    }
    assert.equal(characterSetOf(9999), undefined);
    assert.deepEqual(['utf8mb4', 'UTF8', 'latin1', 'klingon'].map(collationIdOf), [45, 33, 8, undefined]);
  });
});

test('a renamed column does not tell the name that shards were asked with', () => {
  const plain = { typeOid: 3, tableOid: 63, typeSize: 11, typeModifier: 0, columnNumber: 0 };
  const renamed = (name: string, originalName: string) => {
    const origin = { schema: 's', table: 't', originalTable: 't', originalName };
    const column = renamedColumn(decodeColumn(encodeColumn({ ...plain, name }, origin)), 'price');
    return column.definition;
  };
  const expected = (originalName: string) =>
    encodeColumn({ ...plain, name: 'price' }, { schema: 's', table: 't', originalTable: 't', originalName });
  assert.deepEqual(renamed('ringferry_1', 'ringferry_1'), expected('price'));
  assert.deepEqual(renamed('ringferry_1', 'cost'), expected('cost'));
  assert.deepEqual(renamed('cost', 'cost'), expected('cost'));
});
