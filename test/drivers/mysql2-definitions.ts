import type { Operation } from './compare.js';
import { each, type Outcome, shape, withConnection } from './mysql2-client.js';

/** The first is what clients of MySQL 8 log in with. */
const COLLATIONS = [
  'UTF8MB4_0900_AI_CI',
  'UTF8MB4_UNICODE_520_CI',
  'UTF8MB4_BIN',
  'UTF8_UNICODE_CI',
  'LATIN1_GERMAN1_CI',
  'BINARY',
];

/** What column definitions say. */
export const definitionOperations: readonly Operation[] = [
  ...COLLATIONS.map((charset) =>
    withConnection(
      `definitions name the collation of the login, ${charset}, until the client names another`,
      async (connection) => {
        const sql = "SELECT 'x' AS x, 1 AS n, user() AS u, x'00' AS b";
        const names = [
          'SET NAMES utf8mb4',
          'SET NAMES utf8mb4 COLLATE utf8mb4_bin',
          'SET character_set_results = NULL',
        ];
        const outcomes = [
          shape((await connection.execute(sql)) as Outcome),
          ...(await each(connection, sql)),
        ];
        for (const name of names) outcomes.push(...(await each(connection, name, sql)));
        return outcomes;
      },
      { charset },
    ),
  ),
];

/** What only MariaDB has, or does fast. */
export const mariadbOperations: readonly Operation[] = [
  withConnection('types that only extended metadata names', async (connection) => {
    await each(
      connection,
      'CREATE OR REPLACE TABLE named (j json, u uuid, i inet6, p point, t text)',
      `INSERT INTO named VALUES ('{"deep": [1, null]}', uuid(), '::1', point(1, 2), '{}')`,
      'UPDATE named SET u = NULL',
    );
    const sql = 'SELECT * FROM named';
    const prepared = await connection.execute('SELECT j, u FROM named WHERE t = ?', ['{}']);
    return [
      shape(prepared as Outcome),
      ...(await each(connection, sql, `${sql} UNION ${sql}`, 'SHOW WARNINGS', 'SELECT 1')),
    ];
  }),
  withConnection('a value of 20 MB, both ways, as text and prepared', async (connection) => {
    const large = Buffer.alloc(20 << 20, 'x');
    const [[text]] = (await connection.query('SELECT ? AS large', [large])) as unknown as [
      { large: Buffer }[],
    ];
    const [[prepared]] = (await connection.execute('SELECT ? AS large', [large])) as unknown as [
      { large: Buffer }[],
    ];
    return [
      Buffer.compare(Buffer.from(text!.large), large),
      Buffer.compare(Buffer.from(prepared!.large), large),
    ];
  }),
];
