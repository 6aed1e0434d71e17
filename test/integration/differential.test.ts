import pg from 'pg';
import { POSTGRES_TESTS } from '../engines.js';
import { type DifferentialClient, type Outcome, type Statement, testDifferential } from './differential.js';
import { KEYS, randomFrom, SCHEMA, StatementMaker, TABLES } from './random-statements.js';

// Values as text, exactly as the servers wrote them.
const asText = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

async function connect(url: string): Promise<DifferentialClient> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return { ask: (statement) => ask(client, statement), end: () => client.end() };
}

async function ask(client: pg.Client, { sql, values, isOrdered }: Statement): Promise<Outcome> {
  try {
    const config = {
      text: sql,
      rowMode: 'array',
      types: asText,
      ...(values === undefined ? {} : { queryMode: 'extended' }),
    };
    const result = await client.query(config as pg.QueryArrayConfig);
    const rows = result.rows.map((row) => JSON.stringify(row));
    return {
      told: [
        `${result.command} ${result.rowCount}`,
        result.fields.map((field) => [field.name, field.dataTypeID, field.dataTypeModifier]),
      ],
      rows: isOrdered ? rows : rows.sort(),
    };
  } catch (thrown) {
    const { code, message } = thrown as { code?: string; message: string };
    return code === '0A000' ? { refusal: message } : { error: code ?? message };
  }
}

function rows(): string[] {
  const items = Array.from(
    { length: KEYS * 6 },
    (_, i) =>
      `(${i % KEYS}, ${Math.floor(i / KEYS)}, ${i % 5 === 0 ? 'NULL' : `'label ${i % 7}'`}, ${(i * 37) % 100}.${i % 10}0, ${i % 4 === 0 ? 'NULL' : `'2024-0${1 + (i % 9)}-01'`}, ${i % 3 === 0})`,
  );
  const owners = Array.from(
    { length: KEYS - 5 },
    (_, k) => `(${k}, 'owner ${k % 9}', ${k % 4 === 0 ? 'NULL' : k % 2 === 0 ? "'n'" : "'s'"})`,
  );
  return [
    `INSERT INTO items VALUES ${items.join(', ')}`,
    `INSERT INTO owners VALUES ${owners.join(', ')}`,
    "INSERT INTO regions VALUES ('n', 'North'), ('s', 'South'), ('w', 'West')",
  ];
}

await testDifferential({
  engine: POSTGRES_TESTS,
  schema: [SCHEMA],
  tables: TABLES,
  rows: rows(),
  contents: {
    items: 'SELECT * FROM items ORDER BY k, n',
    owners: 'SELECT * FROM owners ORDER BY k',
    regions: 'SELECT * FROM regions ORDER BY region',
  },
  // Both have the same key, and a key has one owner.
  keys: ['SELECT k FROM items UNION SELECT k FROM owners'],
  statements: (seed) => new StatementMaker(randomFrom(seed)),
  connect,
});
