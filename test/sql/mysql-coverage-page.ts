import { type Count, type Coverage, sumOf, WRITABLE } from './mysql-coverage.js';

/** Kinds with fewer statements are not shown. */
const MIN_SHOWN = 10;
const MAX_REASONS = 60;

const INTRODUCTION = `# How much of MySQL's SQL is understood

For a sharded database every statement has to be understood before it can be routed. This is measured on the statements of
MariaDB's own test suite, which go to every corner of the grammar on purpose; a statement counts when MariaDB 10.11 accepts it in PREPARE
(or says that only PREPARE cannot take it), each text once. What is not understood is refused with a clear error in a sharded database, and
passes through unharmed in a database with one shard.

*Understood*: read into the tree that routing plans by; for DDL and statements about the server that is what routing asks of them (kind, tables,
columns that change), not every clause. *Written again*: the tree can be written as text that is read as the same tree, which is what a
statement for several shards needs; statements for one shard always go as the client wrote them. Whether the tree means what the server
means by the text is another question: \`test/sql/mysql-parser-server.test.ts\` asks MariaDB and MySQL.
`;

/** The page of the book, from what was measured. */
export function coveragePage({ texts, kinds, reasons, mistakes }: Coverage): string {
  const names = [...kinds.keys()].sort((a, b) => kinds.get(b)!.valid - kinds.get(a)!.valid);
  const writable = names.filter((name) => WRITABLE.has(name)).map((name) => kinds.get(name)!);
  const shown = names.filter((name) => kinds.get(name)!.valid >= MIN_SHOWN);
  const refused = [...reasons].sort((a, b) => b[1].count - a[1].count).slice(0, MAX_REASONS);
  return `${INTRODUCTION}
Made by \`RINGFERRY_COVERAGE=page node --import tsx --test test/sql/mysql-coverage.test.ts\` from Debian's mariadb-test-data
(${texts} different texts in main/*.test). Texts written again that the server did not accept: ${mistakes.length}.

| statements | valid | understood | share | written again |
|---|---:|---:|---:|---:|
${row('**all**', sumOf(kinds.values()), false)}
${row('**SELECT, INSERT, REPLACE, UPDATE, DELETE, WITH, VALUES**', sumOf(writable), true)}
${shown.map((name) => row(name === '(' ? '( …' : name, kinds.get(name)!, WRITABLE.has(name))).join('\n')}

Kinds with fewer than ${MIN_SHOWN} statements are counted in the sums only. Not written again are UPDATE and DELETE of several tables and SELECT … INTO,
which routing does not send to several shards.

## What is refused, by where reading stopped

| reason | statements | for example |
|---|---:|---|
${refused.map(([reason, { count, example }]) => `| ${cell(reason)} | ${count} | \`${cell(example).replaceAll('`', "'")}\` |`).join('\n')}
`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function row(title: string, count: Count, isWritable: boolean): string {
  const written = isWritable ? percent(count.written, count.valid) : '';
  return `| ${title} | ${count.valid} | ${count.understood} | ${percent(count.understood, count.valid)} | ${written} |`;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;
}
