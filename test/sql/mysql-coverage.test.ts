import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import mysql from 'mysql2/promise';
import { startMariadb } from '../mariadb.js';
import { measureCoverage, SUITE, suiteTexts, sumOf, WRITABLE } from './mysql-coverage.js';
import { coveragePage } from './mysql-coverage-page.js';

const endings: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const end of endings.reverse()) await end();
});

/** With RINGFERRY_COVERAGE=page all statements are read, and docs/mysql-coverage.md is written. */
const isWhole = process.env['RINGFERRY_COVERAGE'] === 'page';
/** Otherwise one of so many. */
const SAMPLE = 67;

test("understands the statements of MariaDB's own test suite, but for few", {
  skip: !existsSync(SUITE),
}, async () => {
  const [server] = await startMariadb((end) => endings.push(end));
  const connection = await mysql.createConnection({ uri: server!.url() });
  endings.push(() => connection.end());
  await connection.query('CREATE DATABASE suite');
  await connection.query('USE suite');
  const texts = suiteTexts();
  const coverage = await measureCoverage(
    connection,
    isWhole ? texts : texts.filter((_, index) => index % SAMPLE === 0),
  );
  const all = sumOf(coverage.kinds.values());
  const dml = sumOf([...coverage.kinds].filter(([kind]) => WRITABLE.has(kind)).map(([, count]) => count));
  assert.ok(all.valid > 500, `only ${all.valid} statements were found`);
  assert.ok(all.understood / all.valid > 0.97, `${all.understood} of ${all.valid} statements`);
  assert.ok(dml.understood / dml.valid > 0.96, `${dml.understood} of ${dml.valid} queries and changes`);
  assert.ok(dml.written / dml.valid > 0.95, `${dml.written} of ${dml.valid} were written again`);
  assert.deepEqual(coverage.mistakes, []);
  if (isWhole)
    writeFileSync(new URL('../../docs/mysql-coverage.md', import.meta.url), coveragePage(coverage));
});
