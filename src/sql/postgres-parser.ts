import { createRequire } from 'node:module';
import type { ParseResult, RawStmt } from '@pgsql/types';
import { OperatingError } from '../lib/errors.js';
import { nestingBound } from './postgres-nesting.js';

/** Deeper texts are refused: a quarter of what the parser was seen to bear (it died at some 8,000 operators, 2,000 CASEs). */
const MAX_NESTING = 1_500;

/** The part of libpg-query's raw WASM module that is used; its own wrapper allows a single instance only. */
interface PgQueryModule {
  lengthBytesUTF8(text: string): number;
  stringToUTF8(text: string, pointer: number, size: number): void;
  UTF8ToString(pointer: number): string;
  getValue(pointer: number, type: 'i32'): number;
  _malloc(size: number): number;
  _free(pointer: number): void;
  _wasm_parse_query_raw(text: number): number;
  _wasm_free_parse_result(result: number): void;
}

/** Postgres' own parser. Locations in its trees are UTF-8 byte offsets; values that are zero are left out. */
export interface SqlParser {
  /** Throws OperatingError `unsupported-syntax` with the server's own words. */
  parse(sql: string): RawStmt[];
}

/** Loads the parser: once at start, since only its start is asynchronous. */
export async function loadParser(): Promise<SqlParser> {
  const require = createRequire(import.meta.url);
  const create = require('libpg-query/wasm/libpg-query.js') as () => Promise<PgQueryModule>;
  return new InstanceParser(create, await create(), await create());
}

/** Parses in one instance and keeps a spare: an error that is not a syntax error leaves the instance in doubt, so it is thrown away. */
class InstanceParser implements SqlParser {
  readonly #create: () => Promise<PgQueryModule>;
  #current: PgQueryModule | undefined;
  #spare: PgQueryModule | undefined;

  constructor(create: () => Promise<PgQueryModule>, current: PgQueryModule, spare: PgQueryModule) {
    this.#create = create;
    this.#current = current;
    this.#spare = spare;
  }

  parse(sql: string): RawStmt[] {
    if (sql.includes('\0'))
      throw new OperatingError('unsupported-syntax', 'a statement must not contain a NUL character');
    if (nestingBound(sql) > MAX_NESTING) {
      throw new OperatingError('limit-exceeded', 'the statement is nested too deeply to be routed', {
        sqlstate: '54001',
        hint: `Expressions may be nested some ${MAX_NESTING} deep; use IN lists or = ANY(array) instead of long chains.`,
      });
    }
    const instance = this.#current;
    if (instance === undefined)
      throw new OperatingError('internal', 'the SQL parser is being restarted; try again');
    try {
      return parseIn(instance, sql);
    } catch (error) {
      if (!(error instanceof OperatingError)) this.#replace();
      throw error instanceof OperatingError
        ? error
        : new OperatingError('internal', 'the SQL parser failed on this statement', { cause: error });
    }
  }

  #replace(): void {
    this.#current = this.#spare;
    this.#spare = undefined;
    this.#create().then(
      (fresh) => {
        if (this.#current === undefined) this.#current = fresh;
        else this.#spare = fresh;
      },
      () => {},
    );
  }
}

function parseIn(instance: PgQueryModule, sql: string): RawStmt[] {
  const size = instance.lengthBytesUTF8(sql) + 1;
  const text = instance._malloc(size);
  let result = 0;
  try {
    instance.stringToUTF8(sql, text, size);
    result = instance._wasm_parse_query_raw(text);
    if (result === 0) throw new Error('out of memory');
    const failure = instance.getValue(result + 8, 'i32');
    if (failure !== 0) throw syntaxError(instance.UTF8ToString(instance.getValue(failure, 'i32')));
    const tree = JSON.parse(instance.UTF8ToString(instance.getValue(result, 'i32'))) as ParseResult;
    return tree.stmts ?? [];
  } finally {
    if (result !== 0) instance._wasm_free_parse_result(result);
    instance._free(text);
  }
}

function syntaxError(message: string): OperatingError {
  return new OperatingError('unsupported-syntax', message);
}

/** Loaded once with this module. */
export const sharedParser: SqlParser = await loadParser();
