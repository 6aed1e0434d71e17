import type { KeyType } from '../../src/topology/keyspace.js';

/** Key columns of MySQL and MariaDB with what may be compared with them. */
export interface MysqlKeyVector {
  readonly keyType: KeyType;
  readonly column: string;
  /** Values as SQL literals that are stored, with the canonical text of each. */
  readonly stored: Readonly<Record<string, string>>;
  /** Literals that are understood, with their canonical text. */
  readonly understood: Readonly<Record<string, string>>;
  /** Literals that could equal several values, or none that can be told: never routed by. */
  readonly unknown: readonly string[];
}

export const MYSQL_KEY_VECTORS: readonly MysqlKeyVector[] = [
  {
    keyType: 'integer',
    column: 'bigint',
    stored: {
      '5': '5',
      '-7': '-7',
      '0': '0',
      '9007199254740992': '9007199254740992',
      '9007199254740993': '9007199254740993',
      '9007199254740994': '9007199254740994',
      '9223372036854775807': '9223372036854775807',
      '9223372036854775806': '9223372036854775806',
      '-9223372036854775808': '-9223372036854775808',
    },
    understood: {
      '5': '5',
      '05': '5',
      '5.0': '5',
      '5e0': '5',
      '0.5e1': '5',
      "'5'": '5',
      "'05'": '5',
      "' 5'": '5',
      "'5 '": '5',
      "'+5'": '5',
      "'5.0'": '5',
      "'5e0'": '5',
      "'-7'": '-7',
      "'-0'": '0',
      '9007199254740993': '9007199254740993',
      '9007199254740993.0': '9007199254740993',
      "'9007199254740993'": '9007199254740993',
      "'9223372036854775807'": '9223372036854775807',
      '9223372036854775807': '9223372036854775807',
      '9223372036854775808': '9223372036854775808',
    },
    unknown: [
      "'5abc'",
      "'abc'",
      "''",
      '5.5',
      "'5.5'",
      '9007199254740993e0',
      '9.223372036854775807e18',
      "'9007199254740993.0'",
      "' 9007199254740993'",
      "'9.007199254740993e15'",
      "x'35'",
      "'0x5'",
    ],
  },
  {
    keyType: 'integer',
    column: 'bigint unsigned',
    stored: {
      '5': '5',
      '18446744073709551615': '18446744073709551615',
      '18446744073709551614': '18446744073709551614',
      '9223372036854775808': '9223372036854775808',
    },
    understood: {
      '18446744073709551615': '18446744073709551615',
      "'18446744073709551615'": '18446744073709551615',
      '9223372036854775808': '9223372036854775808',
      '-5': '-5',
    },
    unknown: ['18446744073709551616', '1.8446744073709551615e19', "'18446744073709551615.0'"],
  },
  {
    keyType: 'integer',
    column: 'int',
    stored: { '5': '5', '-2147483648': '-2147483648' },
    understood: { "'5'": '5', '3000000000': '3000000000', "'3000000000'": '3000000000' },
    unknown: ["'5x'"],
  },
  {
    keyType: 'text-ci',
    column: 'varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci',
    stored: { "'Ann'": 'ann', "'bob  '": 'bob', "''": '', "'5'": '5', "'a_b%c'": 'a_b%c', "'a-b'": 'a-b' },
    understood: {
      "'ann'": 'ann',
      "'ANN '": 'ann',
      "N'Ann'": 'ann',
      "_utf8mb4'aNN'": 'ann',
      '"ann"': 'ann',
      "'Bob'": 'bob',
      "'   '": '',
      "'5'": '5',
      "'05'": '05',
      "'ab'": 'ab',
      "'A_B%C'": 'a_b%c',
      "'a' 'nn'": 'ann',
    },
    unknown: ['5', '5.0', "'Änn'", "'a\\tb'", "'ann\\0'", "'anń'", "'ａｎｎ'"],
  },
  {
    keyType: 'text-ci',
    column: 'varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci',
    stored: { "'Ann'": 'ann', "'a-b'": 'a-b', "'ab'": 'ab', "'a b'": 'a b', "'co''op'": "co'op" },
    understood: { "'ANN'": 'ann', "'ab'": 'ab', "'a.b'": 'a.b', "'a b '": 'a b', "'coop'": 'coop' },
    unknown: ["'a\\0b'", "'ａｂ'"],
  },
  {
    keyType: 'bpchar',
    column: 'varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
    stored: { "'Ann'": 'Ann', "'ann  '": 'ann', "'Ünï'": 'Ünï', "'a\\tb'": 'a\tb' },
    understood: { "'Ann'": 'Ann', "'Ann '": 'Ann', "'ann'": 'ann', "'Ünï  '": 'Ünï', "'a\\tb'": 'a\tb' },
    unknown: ['1', '1e3'],
  },
  {
    keyType: 'text',
    column: 'varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin',
    stored: { "'Ann'": 'Ann', "'Ann '": 'Ann ', "'☃'": '☃' },
    understood: { "'Ann'": 'Ann', "'Ann '": 'Ann ', "'☃'": '☃' },
    unknown: ['1'],
  },
  {
    keyType: 'bytes',
    column: 'varbinary(40)',
    stored: { "x'00ff'": '00ff', "'Ab'": '4162', "''": '', "'Ü'": 'c39c' },
    understood: {
      "x'00FF'": '00ff',
      '0x4162': '4162',
      "'Ab'": '4162',
      "x''": '',
      "'Ü'": 'c39c',
      '0xFF': 'ff',
    },
    unknown: ['1', "b'01'"],
  },
  {
    keyType: 'numeric',
    column: 'decimal(15,4)',
    stored: { '1.5': '1.5', '100': '100', '-0.0001': '-0.0001', '99999999999.9999': '99999999999.9999' },
    understood: {
      '1.50': '1.5',
      "'1.5'": '1.5',
      '15e-1': '1.5',
      '100': '100',
      "'1e2'": '100',
      '1.5000000000000001': '1.5000000000000001',
      "'99999999999.9999'": '99999999999.9999',
    },
    unknown: ["'1.5000000000000000001'", "'1.5x'", "'nan'", "''"],
  },
  {
    keyType: 'date',
    column: 'date',
    stored: { "'2024-02-29'": '8825', "'2000-01-01'": '0' },
    understood: { "'2024-02-29'": '8825', "'2024-02-29 00:00:00'": '8825', "'1999-12-31'": '-1' },
    unknown: [
      "'20240229'",
      '20240229',
      "'2024-2-29'",
      "'24-02-29'",
      "'2024-02-30'",
      "'2024-02-29 10:00:00'",
      "''",
    ],
  },
  {
    keyType: 'timestamp',
    column: 'datetime(6)',
    stored: {
      "'2024-02-29 10:11:12.5'": '1709201472500000',
      "'1970-01-01'": '0',
      "'1969-12-31 23:59:59.1'": '-900000',
    },
    understood: {
      "'2024-02-29 10:11:12.500000'": '1709201472500000',
      "'2024-02-29T10:11:12.5'": '1709201472500000',
      "'1970-01-01'": '0',
      "'1970-01-01 00:00'": '0',
    },
    unknown: [
      '20240229101112.5',
      "'2024-02-29 10:11:12.5000001'",
      "'2024-02-29 10:11:12+00:00'",
      "'2024-2-29'",
    ],
  },
  {
    keyType: 'uuid',
    column: 'uuid',
    stored: { "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'": 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' },
    understood: {
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'": 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      "'A0EEBC999C0B4EF8BB6D6BB9BD380A11'": 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    },
    unknown: ["'a0eebc99'", '1', "x'a0eebc999c0b4ef8bb6d6bb9bd380a11'"],
  },
];
