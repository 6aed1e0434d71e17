import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { lastFirst } from '../cluster.js';
import { POSTGRES_TESTS } from '../engines.js';
import { startRingferry } from '../integration/harness.js';

/** One thing that an application does with its driver; returns all it saw, as plain values that do not differ from run to run. */
export interface Operation {
  readonly name: string;
  run(url: string): Promise<unknown>;
  /** Only where the session keeps its backend. */
  readonly sessionOnly?: boolean;
}

/** Runs every operation on a direct connection and through a pass-through Ringferry, and demands that both saw the same. */
export async function compareWithDirect(
  driver: string,
  operations: readonly Operation[],
  engine = POSTGRES_TESTS,
): Promise<void> {
  const atEnd = lastFirst(after);
  const { protocol } = engine.demo;
  const [direct] = await engine.start(atEnd, 1);
  const start = (mode: string) =>
    startRingferry(atEnd, {
      engine: protocol,
      shards: { only: direct! },
      database: '*',
      pool: { mode, size: 20 },
    });
  const proxies = { session: await start('session'), transaction: await start('transaction') };
  for (const mode of ['session', 'transaction'] as const) {
    describe(`${driver}, pool mode ${mode}`, () => {
      for (const operation of operations) {
        if (operation.sessionOnly === true && mode !== 'session') continue;
        test(operation.name, { timeout: 60_000 }, async () => {
          const expected = await operation.run(direct!.url(engine.database));
          assert.deepEqual(await operation.run(proxies[mode].url(engine.database)), expected);
        });
      }
    });
  }
}

/** The error that this must end in, as plain fields; an error of the test's own making is none. */
export async function refusal(work: PromiseLike<unknown>): Promise<Record<string, unknown>> {
  const result = await Promise.resolve(work).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  assert.ok('error' in result, 'it was expected to fail');
  const fields = errorFields(result.error);
  assert.ok('code' in fields, String(result.error));
  return fields;
}

/** Everything that a server's error says, without what names a source line of another version. */
export function errorFields(thrown: unknown): Record<string, unknown> {
  const error = thrown as Record<string, unknown>;
  const names = [
    'code',
    'severity',
    'message',
    'detail',
    'hint',
    'position',
    'internalPosition',
    'internalQuery',
    'where',
    'schema',
    'table',
    'column',
    'dataType',
    'constraint',
    'file',
    'routine',
    'errno',
    'sqlState',
    'sqlMessage',
  ];
  const aliases: Record<string, string> = {
    schema: 'schema_name',
    table: 'table_name',
    column: 'column_name',
    constraint: 'constraint_name',
  };
  return Object.fromEntries(
    names
      .map((name) => [name, withoutNumber(error[name] ?? error[aliases[name] ?? name])])
      .filter(([, value]) => value !== undefined),
  );
}

/** Temporary schemas are numbered by the server's backend. */
function withoutNumber(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/pg_temp_\d+/, 'pg_temp') : value;
}
