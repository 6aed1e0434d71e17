/** The tables of MariaDB's random statements, and values for their columns. */
import type { Random } from '../../routing/random-query.js';

export const KEYS = 40;

const ANY_CASE = 'COLLATE utf8mb4_general_ci';

export const SCHEMA = [
  `CREATE TABLE items (k int NOT NULL, n int NOT NULL, label varchar(20) ${ANY_CASE}, tag varchar(20) COLLATE utf8mb4_nopad_bin,
     latin varchar(20) CHARACTER SET latin1, price decimal(10, 2), weight double, seen datetime(3), born date, wake time(2),
     big bigint unsigned, ok boolean, raw varbinary(16), flags bit(9), kind enum('x', 'y', 'ü'), marks set('p', 'q', 'r'), stamp timestamp NULL, remark varchar(20),
     PRIMARY KEY (k, n))`,
  `CREATE TABLE owners (k bigint PRIMARY KEY, name varchar(60) ${ANY_CASE}, region char(1), visits int DEFAULT 3)`,
  `CREATE TABLE docs (slug varchar(20) ${ANY_CASE} PRIMARY KEY, body text, hits int NOT NULL DEFAULT 0)`,
  'CREATE TABLE visits (id bigint AUTO_INCREMENT PRIMARY KEY, page varchar(20) COLLATE utf8mb4_unicode_ci, k int)',
  'CREATE TABLE notes (k int, id int AUTO_INCREMENT, note varchar(20), PRIMARY KEY (k, id), KEY (id))',
  'CREATE TABLE regions (region char(1) PRIMARY KEY, title varchar(20))',
  'CREATE TABLE settings (name varchar(20) PRIMARY KEY, value int)',
];

export const TABLES = {
  items: { key: 'k' },
  owners: { key: 'k' },
  docs: { key: 'slug' },
  visits: { key: 'id' },
  notes: { key: 'k' },
  regions: { reference: true },
} as const;

export const CONTENTS = {
  items: 'SELECT * FROM items ORDER BY k, n',
  owners: 'SELECT * FROM owners ORDER BY k',
  docs: 'SELECT * FROM docs ORDER BY slug',
  visits: 'SELECT * FROM visits ORDER BY id',
  notes: 'SELECT * FROM notes ORDER BY k, id',
  regions: 'SELECT * FROM regions ORDER BY region',
  settings: 'SELECT * FROM settings ORDER BY name',
} as const;

const TEXTS = [
  null,
  '',
  'red',
  'Red',
  'RED ',
  'blue',
  'ä ö',
  'ss',
  'ß',
  "it's",
  'a\nb',
  '10',
  '9x',
  'label 3',
];

/** A value for a column, as a driver is given it. */
const VALUES: Readonly<Record<string, (random: Random) => unknown>> = {
  k: (random) => random.below(KEYS),
  n: (random) => random.below(12),
  label: (random) => random.pick(TEXTS),
  tag: (random) => random.pick(TEXTS),
  latin: (random) => random.pick([null, 'ä', 'A', 'a ', 'z']),
  price: (random) => random.pick([null, '0', '1.10', '99.99', '-5.00', 7, '1234567.89']),
  // Quarters: their sum is the same in every order.
  weight: (random) => (random.chance(20) ? null : random.below(400) / 4 - 20),
  seen: (random) => random.pick([null, '2024-01-01', '2024-06-30 12:00:00.5', '1999-12-31 23:59:59.999']),
  born: (random) => random.pick([null, '1970-01-01', '2024-02-29', '1899-05-05']),
  wake: (random) => random.pick([null, '07:30:00', '-12:00:00.25', '800:00:00']),
  big: (random) => random.pick([null, 0, '18446744073709551615', '9223372036854775808', 77]),
  ok: (random) => random.pick([null, 0, 1]),
  raw: (random) => random.pick([null, Buffer.from([0, 255]), Buffer.from('raw'), Buffer.alloc(0)]),
  flags: (random) => random.pick([null, 0, 5, 511]),
  kind: (random) => random.pick([null, 'x', 'y', 'ü']),
  marks: (random) => random.pick([null, '', 'p', 'p,r']),
  stamp: (random) => random.pick([null, '2024-01-01 00:00:00', '2030-05-05 05:05:05']),
  slug: (random) => `${random.pick(['doc', 'Doc', 'DOC'])}-${random.below(30)}${random.pick(['', '', ' '])}`,
  region: (random) => random.pick([null, 'n', 's', 'w']),
  page: (random) => random.pick([null, 'home', 'Home', 'about']),
};

export function valueFor(column: string, random: Random): unknown {
  return VALUES[column]!(random);
}

/** A value as it is written in a statement. */
export function literalOf(value: unknown): string {
  if (value === null || typeof value === 'number' || typeof value === 'bigint')
    return String(value ?? 'NULL');
  if (Buffer.isBuffer(value)) return `x'${value.toString('hex')}'`;
  return `'${String(value).replace(/['\\]/g, (sign) => `\\${sign}`)}'`;
}

/** Rows to begin with. */
export function firstRows(): string[] {
  const labels = ['red', 'Red', 'blue', 'label 3', 'Ä', 'a', 'ß'];
  const items = Array.from({ length: KEYS * 6 }, (_, i) => {
    const label = i % 5 === 0 ? 'NULL' : `'${labels[i % 7]}'`;
    const seen = i % 4 === 0 ? 'NULL' : `'2024-0${1 + (i % 9)}-01 10:00:00.${i % 10}'`;
    return `(${i % KEYS}, ${Math.floor(i / KEYS)}, ${label}, ${label}, 'ä', ${(i * 37) % 100}.${i % 10}0, ${i / 4}, ${seen}, '19${70 + (i % 30)}-01-01',
      '${i % 20}:00:00', ${i}, ${i % 3 === 0}, x'0${i % 9}', ${i}, '${i % 2 === 0 ? 'x' : 'ü'}', 'p,q', NULL, 'first')`;
  });
  const owners = Array.from({ length: KEYS - 5 }, (_, k) => {
    const region = k % 4 === 0 ? 'NULL' : k % 2 === 0 ? "'n'" : "'s'";
    return `(${k}, 'owner ${k % 9}', ${region}, ${k % 6})`;
  });
  const docs = Array.from({ length: 20 }, (_, i) => `('Doc-${i}', 'Body of ${i % 5}', ${i})`);
  return [
    `INSERT INTO items VALUES ${items.join(', ')}`,
    `INSERT INTO owners VALUES ${owners.join(', ')}`,
    `INSERT INTO docs VALUES ${docs.join(', ')}`,
    "INSERT INTO regions VALUES ('n', 'North'), ('s', 'South'), ('w', 'West')",
    "INSERT INTO settings VALUES ('a', 1), ('b', 2)",
    "INSERT INTO visits (page, k) VALUES ('home', 1), ('about', 2), ('home', NULL)",
  ];
}
