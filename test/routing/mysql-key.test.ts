import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import { keyValues } from '../../src/routing/key-value.js';
import { MYSQL_TYPE, mysqlKeys, UNSIGNED } from '../../src/routing/mysql-key.js';
import { ownedExclusion, tokenSql } from '../../src/sql/mysql-token.js';
import type { KeyType } from '../../src/topology/keyspace.js';
import { tokenOf } from '../../src/topology/token.js';
import { lastFirst } from '../cluster.js';
import { startMariadb } from '../mariadb.js';
import { MYSQL_KEY_VECTORS } from '../topology/mysql-key-vectors.js';

function ofLiteral(keyType: KeyType, written: string) {
  const negated = written.startsWith('-');
  const literals = [negated ? written.slice(1) : written];
  return keyValues({ type: 'literal', index: 0, negated }, keyType, { keys: mysqlKeys, literals }, undefined);
}

describe('a literal as a key', () => {
  for (const { keyType, column, understood, unknown } of MYSQL_KEY_VECTORS) {
    test(`of a ${column} has one canonical text, or is not guessed`, () => {
      for (const [literal, canonical] of Object.entries(understood))
        assert.deepEqual(ofLiteral(keyType, literal), [canonical], literal);
      for (const literal of unknown) assert.equal(ofLiteral(keyType, literal), 'unknown', literal);
    });
  }
});

describe('the server itself', () => {
  const atEnd = lastFirst(after);
  let connection: mysql.Connection;

  before(async () => {
    const [server] = await startMariadb(atEnd);
    connection = await mysql.createConnection({ uri: server!.url(), charset: 'utf8mb4' });
    atEnd(() => connection.end());
    await connection.query('CREATE DATABASE vectors');
    await connection.query('USE vectors');
  });

  for (const { keyType, column, stored, understood } of MYSQL_KEY_VECTORS) {
    test(`finds in a ${column} only rows of the token that the literal has`, async () => {
      await connection.query(`CREATE OR REPLACE TABLE t (k ${column}, canonical varbinary(100))`);
      for (const [value, canonical] of Object.entries(stored))
        await connection.query(`INSERT INTO t VALUES (${value}, ?)`, [canonical]);
      const [tokens] = await connection.query<mysql.RowDataPacket[]>(
        `SELECT canonical, CAST(${tokenSql(keyType, 'k')} AS CHAR) AS token FROM t`,
      );
      for (const row of tokens)
        assert.equal(row['token'], String(tokenOf(String(row['canonical']))), String(row['canonical']));
      let found = 0;
      for (const [literal, canonical] of Object.entries(understood))
        for (const condition of [
          `k = ${literal}`,
          `${literal} = k`,
          `k IN (${literal}, ${literal})`,
          ...(keyType === 'integer' ? [`k IN (NULL, ${literal}, '77', 78)`] : []),
        ]) {
          const [rows] = await connection.query<mysql.RowDataPacket[]>(
            `SELECT canonical FROM t WHERE ${condition}`,
          );
          found += rows.length;
          for (const row of rows) assert.equal(String(row['canonical']), canonical, condition);
        }
      assert.ok(found > 0, 'no literal found anything');
      // The condition that leaves rows out is understood by the server.
      await connection.query(
        `SELECT 1 FROM t WHERE ${ownedExclusion(keyType, 'k', [{ low: 0n, high: 5n }])}`,
      );
    });
  }
});

describe('a parameter as a key', () => {
  function ofParameter(keyType: KeyType, typeCode: number, bytes: Buffer | undefined) {
    return keyValues(
      { type: 'parameter', index: 0, array: false },
      keyType,
      { keys: mysqlKeys, literals: [] },
      { count: 1, typeOid: () => typeCode, format: () => 1, bytes: () => bytes },
    );
  }
  const double = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return bytes;
  };

  test('is read from the binary protocol', () => {
    const { tiny, short, long, longlong, varString, blob, newdecimal, date, datetime } = MYSQL_TYPE;
    const cases: [KeyType, number, Buffer, string][] = [
      ['integer', tiny, Buffer.from([0xff]), '-1'],
      ['integer', tiny | UNSIGNED, Buffer.from([0xff]), '255'],
      ['integer', short, Buffer.from([0x00, 0x80]), '-32768'],
      ['integer', long | UNSIGNED, Buffer.from([255, 255, 255, 255]), '4294967295'],
      ['integer', longlong | UNSIGNED, Buffer.alloc(8, 0xff), '18446744073709551615'],
      ['integer', longlong, Buffer.alloc(8, 0xff), '-1'],
      ['integer', MYSQL_TYPE.double, double(42), '42'],
      ['integer', varString, Buffer.from('42'), '42'],
      ['integer', newdecimal, Buffer.from('42.0'), '42'],
      ['numeric', MYSQL_TYPE.double, double(1.5), '1.5'],
      ['text-ci', varString, Buffer.from('Ann '), 'ann'],
      ['bytes', blob, Buffer.from([0, 255]), '00ff'],
      ['bytes', varString, Buffer.from([0xc3, 0x28]), 'c328'],
      ['date', date, Buffer.from([0xe8, 7, 2, 29]), '8825'],
      ['date', datetime, Buffer.from([4, 0xe8, 7, 2, 29]), '8825'],
      ['timestamp', datetime, Buffer.from([0xb2, 7, 1, 1, 0, 0, 1]), '1000000'],
      ['timestamp', datetime, Buffer.from([11, 0xb2, 7, 1, 1, 0, 0, 1, 1, 0, 0, 0]), '1000001'],
    ];
    for (const [keyType, typeCode, bytes, canonical] of cases)
      assert.deepEqual(
        ofParameter(keyType, typeCode, bytes),
        [canonical],
        `${keyType} ${typeCode} ${bytes.toString('hex')}`,
      );
    assert.deepEqual(ofParameter('integer', long, undefined), [null]);
  });

  test('of another family is not guessed', () => {
    const cases: [KeyType, number, Buffer][] = [
      ['integer', MYSQL_TYPE.double, double(2 ** 53)],
      ['integer', MYSQL_TYPE.double, double(5.5)],
      ['text-ci', MYSQL_TYPE.long, Buffer.from([5, 0, 0, 0])],
      ['text-ci', MYSQL_TYPE.varString, Buffer.from('Änn')],
      ['integer', MYSQL_TYPE.long, Buffer.from([5])],
      ['integer', MYSQL_TYPE.bit, Buffer.from([5])],
      ['numeric', MYSQL_TYPE.double, double(0.1 + 0.2)],
      ['date', MYSQL_TYPE.datetime, Buffer.from([0xe8, 7, 2, 29, 1, 0, 0])],
      ['date', MYSQL_TYPE.long, Buffer.from([5, 0, 0, 0])],
    ];
    for (const [keyType, typeCode, bytes] of cases)
      assert.equal(ofParameter(keyType, typeCode, bytes), 'unknown', `${keyType} ${typeCode}`);
  });
});
