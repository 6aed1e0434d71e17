import pg from 'pg';
import type { ResultColumn, RowFields } from '../../src/pool/backend.js';
import { readKeyspace } from '../../src/postgres/catalog.js';
import { postgresValues } from '../../src/postgres/values.js';
import { RowMerger } from '../../src/proxy/merge.js';
import { limitsOf } from '../../src/routing/limit.js';
import type { ParameterValues, PlannedStatement } from '../../src/routing/plan.js';
import { parametersIn } from '../../src/routing/postgres-insert-rows.js';
import { createPostgresRouter } from '../../src/routing/postgres-router.js';
import type { StatementRouter } from '../../src/routing/router.js';
import { PostgresLexer, Tok } from '../../src/sql/postgres-lexer.js';
import { quoteName, rangeTestSql, tokenSql } from '../../src/sql/postgres-token.js';
import { type Range, Ring } from '../../src/topology/ring.js';
import type { Move, Snapshot } from '../../src/topology/snapshot.js';
import { type After, startPostgres } from '../cluster.js';

export interface Answer {
  readonly rows: (string | null)[][];
  readonly names: string[];
  readonly types: number[];
  readonly count: number | null;
}

const RAW = { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig;
const SHARDS = ['a', 'b', 'c'];

/** One server: a database with all rows, and three databases as shards. What the router and the merge make of the shards is held against the one. */
export class ShardedDatabase {
  readonly whole: pg.Client;
  readonly shards: ReadonlyMap<string, pg.Client>;
  router!: StatementRouter;
  snapshot: Snapshot;

  constructor(whole: pg.Client, shards: ReadonlyMap<string, pg.Client>) {
    this.whole = whole;
    this.shards = shards;
    const entries = SHARDS.map((name) => ({ name, url: '', isServing: true }));
    this.snapshot = {
      database: 'shop',
      epoch: 1,
      ring: Ring.of(SHARDS, 16),
      shards: entries,
      home: 'a',
      moves: [],
    };
  }

  async ask(client: pg.Client, sql: string, values: readonly unknown[] = []): Promise<Answer> {
    const result = await client.query({
      text: sql,
      values: [...values],
      rowMode: 'array',
      types: RAW,
    } as pg.QueryArrayConfig);
    return {
      rows: result.rows as (string | null)[][],
      names: result.fields.map((field) => field.name),
      types: result.fields.map((field) => field.dataTypeID),
      count: result.rowCount,
    };
  }

  async readSchema(tables: Parameters<typeof readKeyspace>[3]): Promise<void> {
    const keyspace = await readKeyspace(
      async (sql) => (await this.ask(this.shards.get('a')!, sql)).rows,
      'shop',
      'a',
      tables,
    );
    this.router = createPostgresRouter(keyspace, { maxPlans: 1_000 });
  }

  /** Runs a statement as the proxy would. Throws what it is refused with. */
  async execute(sql: string, values: readonly (string | null)[] = []): Promise<Answer> {
    const planned = this.router.plan(sql);
    const parameters = parametersOf(values);
    const route = this.router.route(planned, parameters, this.snapshot);
    const answers: Answer[] = [];
    for (const shard of route.shards) {
      const text = this.router.sqlFor(planned, route, shard, this.snapshot);
      answers.push(await this.#run(shard, text, values));
    }
    const isAsWritten = this.router.sqlFor(planned, route, route.shards[0]!, this.snapshot) === sql;
    if (route.shards.length === 1 && (planned.plan.merge === undefined || isAsWritten)) return answers[0]!;
    if (planned.plan.writesReference) return answers[0]!;
    return this.#merged(
      planned,
      answers,
      parameters,
      route.shards.map((shard) => route.rows?.get(shard) ?? []),
      route.rows !== undefined,
    );
  }

  /** This driver cannot declare the types of parameters that a shard's text no longer has, so they are numbered anew. */
  #run(shard: string, sql: string, values: readonly (string | null)[]): Promise<Answer> {
    const used = [...parametersIn(sql)].sort((a, b) => a - b);
    const lexer = new PostgresLexer(sql);
    let text = '';
    for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next())
      text +=
        kind === Tok.parameter ? `$${used.indexOf(Number(lexer.source.slice(1)) - 1) + 1}` : lexer.source;
    return this.ask(
      this.shards.get(shard)!,
      text,
      used.map((index) => values[index]),
    );
  }

  #merged(
    planned: PlannedStatement,
    answers: Answer[],
    parameters: ParameterValues,
    rowNumbers: (readonly number[])[],
    isSplit: boolean,
  ): Answer {
    const { merge } = planned.plan;
    const count = answers.reduce((sum, answer) => sum + (answer.count ?? 0), 0);
    if (merge === undefined) return { ...answers[0]!, rows: answers.flatMap((answer) => answer.rows), count };
    const columns = answers[0]!.names.map(
      (name, index): ResultColumn => ({
        name,
        typeOid: answers[0]!.types[index]!,
        tableOid: 0,
        columnNumber: 0,
        typeSize: -1,
        typeModifier: -1,
      }),
    );
    const merger = new RowMerger({
      merge,
      columns,
      clientFormats: [],
      values: postgresValues,
      limits: limitsOf(merge, planned, parameters),
      parts: answers.length,
      maxRows: 10_000,
      ...(isSplit ? { rowNumbers } : {}),
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
            fields.map((field) => (field === null ? undefined : Buffer.from(field))),
          );
      });
      taken.push(...merger.take(3));
    }
    for (const part of answers.keys()) merger.endOf(part);
    taken.push(...merger.take());
    return {
      rows: taken.map((fields) => fields.map((field) => field?.toString() ?? null)),
      names: merger.outputColumns.map((column) => column.name),
      types: merger.outputColumns.map((column) => column.typeOid),
      count: planned.plan.access === 'read' ? taken.length : count,
    };
  }

  /** Runs DDL and data of all databases alike. */
  async everywhere(sql: string): Promise<void> {
    for (const client of [this.whole, ...this.shards.values()]) await client.query(sql);
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
      if (table.key === undefined || table.kind !== 'table') continue;
      const test = rangeTestSql(tokenSql(table.key.type, quoteName(table.key.column)), ranges);
      const { rows } = await this.ask(
        this.shards.get(source)!,
        `SELECT * FROM ${quoteName(table.name)} WHERE ${test}`,
      );
      for (const row of rows) {
        const places = row.map((_, index) => `$${index + 1}`).join(', ');
        await this.ask(
          this.shards.get(target)!,
          `INSERT INTO ${quoteName(table.name)} VALUES (${places})`,
          row,
        );
        copied++;
      }
    }
    this.snapshot = {
      ...this.snapshot,
      epoch: this.snapshot.epoch + 1,
      moves: [{ migration: 'm1', source, target, ranges, state }],
    };
    return copied;
  }
}

/** Parameters as a driver sends them that declares no types: texts. */
export function parametersOf(values: readonly (string | null)[]): ParameterValues {
  return {
    count: values.length,
    typeOid: () => 0,
    format: () => 0,
    bytes: (index) =>
      values[index] === null || values[index] === undefined ? undefined : Buffer.from(values[index]),
  };
}

export async function openShardedDatabase(after: After): Promise<ShardedDatabase> {
  const [server] = await startPostgres(after, { version: 15 });
  const admin = await connect(server!.url());
  for (const name of ['whole', ...SHARDS]) await admin.query(`CREATE DATABASE db_${name}`);
  await admin.end();
  const clients = new Map<string, pg.Client>();
  for (const name of ['whole', ...SHARDS]) clients.set(name, await connect(server!.url(`db_${name}`)));
  return new ShardedDatabase(
    clients.get('whole')!,
    new Map(SHARDS.map((name) => [name, clients.get(name)!])),
  );
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return client;
}
