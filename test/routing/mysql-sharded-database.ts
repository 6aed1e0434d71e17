import mysql from 'mysql2/promise';
import { readKeyspace } from '../../src/mysql/catalog.js';
import { mysqlValues } from '../../src/mysql/values.js';
import type { ResultColumn, RowFields } from '../../src/pool/backend.js';
import { RowMerger } from '../../src/proxy/merge.js';
import { limitsOf } from '../../src/routing/limit.js';
import { MYSQL_TYPE, UNSIGNED } from '../../src/routing/mysql-key.js';
import { createMysqlRouter } from '../../src/routing/mysql-router.js';
import type { ParameterValues, PlannedStatement } from '../../src/routing/plan.js';
import type { StatementRouter } from '../../src/routing/router.js';
import { quoteName, rangeTestSql, tokenSql } from '../../src/sql/mysql-token.js';
import { type Range, Ring } from '../../src/topology/ring.js';
import type { Move, Snapshot } from '../../src/topology/snapshot.js';
import type { After } from '../cluster.js';
import { startMariadb } from '../mariadb.js';

export type Value = number | string | null;

export interface Answer {
  readonly rows: (Buffer | null)[][];
  readonly names: string[];
  readonly types: number[];
  /** As the server describes them. */
  readonly columns: ResultColumn[];
  readonly affected: number;
}

const SHARDS = ['a', 'b', 'c'];
const UNSIGNED_FLAG = 32;

/** One server: a database with all rows, and three databases as shards, asked in the text protocol. */
export class MysqlShardedDatabase {
  readonly whole: mysql.Connection;
  readonly shards: ReadonlyMap<string, mysql.Connection>;
  router!: StatementRouter;
  snapshot: Snapshot;

  constructor(whole: mysql.Connection, shards: ReadonlyMap<string, mysql.Connection>) {
    this.whole = whole;
    this.shards = shards;
    this.snapshot = {
      database: 'shop',
      epoch: 1,
      ring: Ring.of(SHARDS, 16),
      shards: SHARDS.map((name) => ({ name, url: '', isServing: true })),
      home: 'a',
      moves: [],
    };
  }

  /** With values the server itself prepares the statement; its answer comes as text all the same. */
  async ask(connection: mysql.Connection, sql: string, values: readonly Value[] = []): Promise<Answer> {
    if (values.length === 0) return this.#query(connection, sql);
    await connection.query('SET @statement = ?', [sql]);
    await connection.query('PREPARE s FROM @statement');
    const names = values.map((_, index) => `@v${index}`);
    for (const [index, value] of values.entries()) await connection.query(`SET @v${index} = ?`, [value]);
    return this.#query(connection, `EXECUTE s USING ${names.join(', ')}`);
  }

  async #query(connection: mysql.Connection, sql: string): Promise<Answer> {
    const [result, fields] = await connection.query({
      sql,
      rowsAsArray: true,
      typeCast: (field) => field.buffer(),
    });
    if (!Array.isArray(result))
      return {
        rows: [],
        names: [],
        types: [],
        columns: [],
        affected: (result as mysql.ResultSetHeader).affectedRows,
      };
    return {
      rows: result as unknown as (Buffer | null)[][],
      names: (fields ?? []).map((field) => field.name),
      columns: (fields ?? []).map(described),
      types: (fields ?? []).map(
        ({ columnType, flags }) =>
          (columnType ?? 0) | ((Number(flags ?? 0) & UNSIGNED_FLAG) !== 0 ? UNSIGNED : 0),
      ),
      affected: 0,
    };
  }

  async readSchema(tables: Parameters<typeof readKeyspace>[3]): Promise<void> {
    const keyspace = await readKeyspace(
      async (sql) =>
        (await this.ask(this.shards.get('a')!, sql)).rows.map((row) =>
          row.map((field) => field?.toString() ?? null),
        ),
      'shop',
      'a',
      tables,
    );
    this.router = createMysqlRouter(keyspace, { maxPlans: 1_000 });
  }

  /** Runs a statement as the proxy would. Throws what it is refused with. */
  async execute(sql: string, values: readonly Value[] = []): Promise<Answer> {
    const planned = this.router.plan(sql);
    const parameters = parametersOf(values);
    const route = this.router.route(planned, parameters, this.snapshot);
    const answers: Answer[] = [];
    let isAsWritten = true;
    for (const shard of route.shards) {
      const text = this.router.sqlFor(planned, route, shard, this.snapshot);
      const order = this.router.parametersFor(planned, route, shard, this.snapshot);
      isAsWritten &&= text === sql;
      const taken = order === undefined ? values : order.map((index) => values[index]!);
      answers.push(await this.ask(this.shards.get(shard)!, text, taken));
    }
    if (route.shards.length === 1 && (planned.plan.merge === undefined || isAsWritten)) return answers[0]!;
    if (planned.plan.writesReference) return answers[0]!;
    return this.#merged(
      planned,
      answers,
      parameters,
      route.rows === undefined ? undefined : route.shards.map((shard) => route.rows!.get(shard) ?? []),
    );
  }

  #merged(
    planned: PlannedStatement,
    answers: readonly Answer[],
    parameters: ParameterValues,
    rowNumbers: readonly (readonly number[])[] | undefined,
  ): Answer {
    const { merge } = planned.plan;
    const affected = answers.reduce((sum, answer) => sum + answer.affected, 0);
    if (merge === undefined)
      return { ...answers[0]!, rows: answers.flatMap((answer) => answer.rows), affected };
    const { columns } = answers[0]!;
    const merger = new RowMerger({
      merge,
      columns,
      clientFormats: [],
      values: mysqlValues,
      limits: limitsOf(merge, planned, parameters),
      parts: answers.length,
      maxRows: 10_000,
      ...(rowNumbers === undefined ? {} : { rowNumbers }),
    });
    const taken: RowFields[] = [];
    // Parts take turns, so that the merge sees rows in no convenient order.
    const longest = Math.max(...answers.map((answer) => answer.rows.length));
    for (let row = 0; row < longest; row++) {
      answers.forEach((answer, part) => {
        const fields = answer.rows[row];
        if (fields !== undefined)
          merger.push(
            part,
            fields.map((field) => field ?? undefined),
          );
      });
      taken.push(...merger.take(3));
    }
    for (const part of answers.keys()) merger.endOf(part);
    taken.push(...merger.take());
    return {
      rows: taken.map((fields) => fields.map((field) => field ?? null)),
      names: merger.outputColumns.map((column) => column.name),
      types: merger.outputColumns.map((column) => column.typeOid),
      columns: [...merger.outputColumns],
      affected,
    };
  }

  async everywhere(...statements: readonly string[]): Promise<void> {
    for (const connection of [this.whole, ...this.shards.values()])
      for (const sql of statements) await connection.query(sql);
  }

  /** Copies rows of some ranges from one shard to another, as a migration in the middle of its work has them. */
  async copyRanges(
    source: string,
    target: string,
    ranges: readonly Range[],
    state: Move['state'],
  ): Promise<number> {
    let copied = 0;
    for (const table of this.router.keyspace.tables.values()) {
      if (table.key === undefined) continue;
      const test = rangeTestSql(tokenSql(table.key.type, quoteName(table.key.column)), ranges);
      const [result] = await this.shards
        .get(source)!
        .query<mysql.ResultSetHeader>(
          `INSERT INTO db_${target}.${quoteName(table.name)} SELECT * FROM ${quoteName(table.name)} WHERE ${test}`,
        );
      copied += result.affectedRows;
    }
    this.snapshot = {
      ...this.snapshot,
      epoch: this.snapshot.epoch + 1,
      moves: [{ migration: 'm1', source, target, ranges, state }],
    };
    return copied;
  }

  /** All rows of a table, from the one database and from the shards together. */
  async contents(table: string): Promise<{ whole: string[]; shards: string[] }> {
    const read = async (connection: mysql.Connection) =>
      (await this.ask(connection, `SELECT * FROM ${table}`)).rows.map((row) =>
        row.map((field) => field?.toString('latin1') ?? 'NULL').join('|'),
      );
    const shards: string[] = [];
    for (const connection of this.shards.values()) shards.push(...(await read(connection)));
    return { whole: (await read(this.whole)).sort(), shards: shards.sort() };
  }
}

function described(field: mysql.FieldPacket): ResultColumn {
  const flags = Number(field.flags ?? 0);
  return {
    name: field.name,
    typeOid: (field.columnType ?? 0) | ((flags & UNSIGNED_FLAG) !== 0 ? UNSIGNED : 0),
    tableOid: field.characterSet ?? 0,
    columnNumber: field.decimals ?? 0,
    typeSize: field.columnLength ?? -1,
    typeModifier: flags,
  };
}

/** Numbers and texts as drivers send them in COM_STMT_EXECUTE. */
export function parametersOf(values: readonly Value[]): ParameterValues {
  return {
    count: values.length,
    typeOid: (index) => (typeof values[index] === 'number' ? MYSQL_TYPE.longlong : MYSQL_TYPE.varString),
    format: () => 1,
    bytes: (index) => {
      const value = values[index];
      if (value === null || value === undefined) return undefined;
      if (typeof value === 'string') return Buffer.from(value);
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(BigInt(value));
      return bytes;
    },
  };
}

export async function openMysqlShardedDatabase(after: After): Promise<MysqlShardedDatabase> {
  const [server] = await startMariadb(after);
  const admin = await mysql.createConnection({ uri: server!.url() });
  const connections = new Map<string, mysql.Connection>();
  for (const name of ['whole', ...SHARDS]) {
    await admin.query(`CREATE DATABASE db_${name}`);
    connections.set(
      name,
      await mysql.createConnection({
        uri: server!.url(`db_${name}`),
        charset: 'utf8mb4',
        flags: ['-FOUND_ROWS'],
      }),
    );
  }
  await admin.end();
  after(async () => {
    for (const connection of connections.values()) await connection.end();
  });
  return new MysqlShardedDatabase(
    connections.get('whole')!,
    new Map(SHARDS.map((name) => [name, connections.get(name)!])),
  );
}
