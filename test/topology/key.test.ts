import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalKey } from '../../src/topology/key.js';
import type { KeyType } from '../../src/topology/keyspace.js';

test('a value has one canonical text, however it is written', () => {
  const same: [KeyType, string[]][] = [
    ['integer', ['5', '+5', ' 5 ', '5.0', '5e0', '05', '0.5e1']],
    ['numeric', ['1.5', '1.50', '+01.5', '15e-1', '.15e1']],
    ['numeric', ['0', '-0', '0.000', '0e10']],
    [
      'uuid',
      [
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        'A0EEBC999C0B4EF8BB6D6BB9BD380A11',
        '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}',
      ],
    ],
    ['bpchar', ['a', 'a ', 'a   ']],
    ['text-ci', ['ann', 'Ann', 'ANN  ']],
    ['bytes', ['\\x6162', 'ab', 'a\\142']],
    ['timestamp', ['2024-01-01', '2024-01-01 00:00', '2024-01-01T00:00:00.000000']],
    [
      'timestamptz',
      [
        '2024-01-01 00:00:00Z',
        '2024-01-01 02:00:00+02',
        '2023-12-31 19:00:00-05:00',
        '2024-01-01 05:30+0530',
      ],
    ],
  ];
  for (const [type, texts] of same)
    assert.equal(
      new Set(texts.map((text) => canonicalKey(type, text) ?? assert.fail(`${type} ${text}`))).size,
      1,
      texts.join(' | '),
    );
});

test('what cannot be told for certain is not guessed', () => {
  const unknown: [KeyType, string[]][] = [
    [
      'integer',
      [
        '',
        'x',
        '5.5',
        '18446744073709551616',
        '-9223372036854775809',
        '0x1F',
        '1_000',
        '1e400',
        'NaN',
        '1e99999999',
      ],
    ],
    ['numeric', ['', '.', 'Infinity', '1e', '0x10', '1,5', '1e1001']],
    ['text-ci', ['Änn', 'a\tb', 'a\u0000', '\u212a']],
    ['uuid', ['a0eebc99', 'g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc999c0b4ef8bb6d6bb9bd380a1']],
    [
      'date',
      [
        'today',
        '01/02/2024',
        '2024-13-01',
        '2023-02-29',
        '20240101',
        'infinity',
        '0000-01-01',
        '2024-1-1',
        '12024-01-01',
        '2024-01-01 BC',
      ],
    ],
    [
      'timestamp',
      [
        'now',
        '2024-01-01 10:00+02',
        '2024-01-01 24:00:00',
        '2024-01-01 10:00:00.1234567',
        '2024-01-01 10:61',
        'Jan 1 2024',
      ],
    ],
    ['timestamptz', ['2024-01-01', '2024-01-01 10:00', '2024-01-01 10:00 Europe/Oslo', 'epoch']],
    ['bytes', ['\\xabc', '\\xzz', 'a\\9', 'ü']],
  ];
  for (const [type, texts] of unknown)
    for (const text of texts) assert.equal(canonicalKey(type, text), undefined, `${type} '${text}'`);
});
