import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  type Backend,
  type BackendQuery,
  type RelaySink,
  type ServerError,
  ServerFailure,
  type TransactionStatus,
} from '../../src/pool/backend.js';
import type { Request } from '../../src/pool/request.js';
import { lastFirst } from '../cluster.js';
import type { TestServer } from '../engines.js';
import { connectTo, WINGS } from './wings.js';

interface Gathered {
  readonly columns: readonly string[];
  readonly rows: (string | null)[][];
  readonly tags: string[];
  readonly error: ServerError | undefined;
  readonly status: TransactionStatus | 'broken';
}

function gather(backend: Backend, query: BackendQuery, first?: readonly string[]): Promise<Gathered> {
  return new Promise((resolve) => {
    let columns: string[] = [];
    let error: ServerError | undefined;
    const rows: (string | null)[][] = [];
    const tags: string[] = [];
    const end = (status: Gathered['status']) => resolve({ columns, rows, tags, error, status });
    backend.query(
      query,
      {
        onColumns: (described) => {
          columns = described.map(({ name }) => name);
        },
        onRow: (fields) => {
          rows.push(fields.map((field) => field?.toString() ?? null));
          return true;
        },
        onCommandTag: (tag) => tags.push(tag),
        onError: (failure) => {
          error = failure;
        },
        onEnd: end,
        onBroken: () => end('broken'),
      },
      first,
    );
  });
}

interface Relayed {
  readonly bytes: number;
  readonly tags: readonly string[];
  readonly errors: readonly ServerError[];
  readonly status: TransactionStatus | 'broken';
}

/** Forwards a request; `isSlow` says after each chunk whether the client lags. */
function relay(
  backend: Backend,
  request: Request,
  options: { readonly before?: readonly string[]; readonly isSlow?: (bytes: number) => boolean } = {},
): Promise<Relayed> {
  return new Promise((resolve) => {
    let bytes = 0;
    const tags: string[] = [];
    const errors: ServerError[] = [];
    const end = (status: Relayed['status']) => resolve({ bytes, tags, errors, status });
    const sink: RelaySink = {
      onBytes: (chunk) => {
        bytes += chunk.length;
        return options.isSlow?.(bytes) !== true;
      },
      onError: (error) => errors.push(error),
      onCommandTag: (tag) => tags.push(tag),
      onCopyIn: () => {},
      onParameter: () => {},
      onEnd: end,
      onBroken: () => end('broken'),
    };
    backend.forward(request, sink, { rename: true, before: options.before ?? [] });
  });
}

const failure = async (act: Promise<unknown>): Promise<ServerFailure> => {
  const thrown = await act.then(
    () => assert.fail('it did not fail'),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof ServerFailure, String(thrown));
  return thrown;
};

for (const wing of WINGS) {
  describe(`a backend of ${wing.name}`, () => {
    const ending = lastFirst(after);
    const { sql } = wing;
    let server: TestServer;
    let backend: Backend;
    const query = (text: string): Request => ({ steps: [wing.queryStep(text)], end: 'query', byteLength: 0 });

    before(async () => {
      [server] = (await wing.engine.start(ending, 1)) as [TestServer];
      await wing.engine.run(server.url(wing.engine.database), ...sql.fill(20_000));
      backend = await connectTo(wing, server, ending);
    });

    test('gives rows as text', async () => {
      assert.deepEqual(await backend.rows('SELECT n, NULL FROM numbers WHERE n <= 2 ORDER BY n'), [
        ['1', null],
        ['2', null],
      ]);
      assert.deepEqual(await backend.rows('SELECT n FROM numbers WHERE n < 0'), []);
    });

    test('throws what the server says, and goes on', async () => {
      const { serverError } = await failure(backend.run('INSERT INTO numbers (n) VALUES (1)'));
      assert.equal(serverError.sqlstate, sql.uniqueViolation);
      assert.ok(serverError.frame.length > 0);
      assert.equal(backend.isBroken, false);
      assert.equal(backend.isBusy, false);
      assert.deepEqual(await backend.rows('SELECT 1'), [['1']]);
    });

    test('knows whether a transaction is open', async () => {
      assert.equal(backend.transaction, 'idle');
      await backend.run(sql.begin);
      assert.equal(backend.transaction, 'open');
      await backend.run('DELETE FROM numbers WHERE n = 1');
      assert.equal(backend.transaction, 'open');
      await backend.run(sql.rollback);
      assert.equal(backend.transaction, 'idle');
      assert.deepEqual(await backend.rows('SELECT count(*) FROM numbers'), [['20000']]);
    });

    test('runs what is said first in the same write, and fails with it', async () => {
      const inside = await gather(backend, { sql: 'SELECT n FROM numbers WHERE n = 7' }, [sql.begin]);
      assert.deepEqual([inside.columns, inside.rows, inside.status], [['n'], [['7']], 'open']);
      const failed = await gather(backend, { sql: 'SELECT 1' }, ['SELECT no_such_column FROM numbers']);
      assert.match(failed.error?.message ?? '', /no_such_column/);
      await backend.run(sql.rollback);
    });

    test('binds parameters', async () => {
      const text = `SELECT n FROM numbers WHERE n > ${sql.parameter(1)} AND n < ${sql.parameter(2)} ORDER BY n`;
      const { rows, error } = await gather(backend, { sql: text, parameters: wing.integers(3, 6) });
      assert.equal(error, undefined);
      assert.equal(rows.length, 2);
    });

    test('describes a statement', async () => {
      const text = `SELECT n AS first, filling FROM numbers WHERE n = ${sql.parameter(1)}`;
      const described = await backend.describe({ name: 's', sql: text, parameterTypes: [], id: 901 });
      assert.equal(described.parameterTypes.length, 1);
      assert.deepEqual(
        described.columns?.map(({ name }) => name),
        ['first', 'filling'],
      );
      const write = { name: 't', sql: 'DELETE FROM numbers WHERE n < 0', parameterTypes: [], id: 902 };
      assert.equal((await backend.describe(write)).columns, undefined);
    });

    test('relays a request: tags before their bytes, errors as they came, nothing of what was said first', async () => {
      const update = await relay(backend, query('UPDATE numbers SET n = n WHERE n <= 3'), {
        before: ['SELECT 1'],
      });
      assert.equal(update.tags.length, 1);
      assert.match(update.tags[0]!, /3/);
      assert.ok(update.bytes > 0 && update.bytes < 100, `${update.bytes} bytes`);
      const wrong = await relay(backend, query('SELECT no_such_column FROM numbers'));
      assert.match(wrong.errors[0]!.message, /no_such_column/);
      assert.equal(wrong.bytes, wrong.errors[0]!.frame.length);
      assert.equal(wrong.status, 'idle');
    });

    test('stops reading while the client is slow', async () => {
      let seen = 0;
      let isLagging = false;
      const relayed = relay(backend, query('SELECT * FROM numbers'), {
        isSlow: (bytes) => {
          seen = bytes;
          isLagging = true;
          return true;
        },
      });
      // Each time it has stopped and nothing more has come for some turns, it is told to go on.
      let resumed = 0;
      let ended: Relayed | undefined;
      void relayed.then((value) => {
        ended = value;
      });
      while (ended === undefined) {
        const before = seen;
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
        if (ended === undefined && isLagging && seen === before) {
          isLagging = false;
          resumed++;
          backend.resume();
        }
      }
      assert.equal(ended.errors.length, 0);
      assert.ok(ended.bytes > 20_000_000, `${ended.bytes} bytes`);
      assert.ok(resumed > 20, `it was stopped ${resumed} times`);
    });

    test('is cancelled', async () => {
      const sleeping = relay(backend, query(sql.sleep));
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(backend.isBusy, true);
      await backend.cancel();
      const { errors, status } = await sleeping;
      assert.equal(errors[0]?.sqlstate, sql.cancelled);
      assert.equal(status, 'idle');
      assert.deepEqual(await backend.rows('SELECT 1'), [['1']]);
    });

    test('tells a position that grows with its commits', async () => {
      const first = await backend.position();
      await backend.run('UPDATE numbers SET filling = NULL WHERE n = 1');
      const second = await backend.position();
      assert.notEqual(second, first);
      assert.ok(second.length > 0);
    });

    test('forgets its session when it is reset', async () => {
      await backend.run('CREATE TEMPORARY TABLE mine (x int)');
      await backend.run(sql.begin);
      await backend.run('DELETE FROM numbers WHERE n = 2');
      await backend.run(sql.rollback);
      await backend.reset();
      await failure(backend.run('SELECT * FROM mine'));
      assert.deepEqual(await backend.rows('SELECT count(*) FROM numbers'), [['20000']]);
    });

    test('says that the connection is gone to whoever waits and to whoever holds it', async () => {
      const other = await connectTo(wing, server, ending);
      let lost: Error | undefined;
      let isClosed = false;
      other.onLost = (error) => {
        lost = error;
      };
      other.onClosed = () => {
        isClosed = true;
      };
      const waiting = relay(other, query(sql.sleep));
      await new Promise((resolve) => setTimeout(resolve, 100));
      await server.crash();
      assert.equal((await waiting).status, 'broken');
      assert.equal(other.isBroken, true);
      assert.equal(isClosed, true);
      assert.match(String(lost), /connection to shard "a" was lost/);
      await assert.rejects(other.run('SELECT 1'));
      await server.start();
      const again = await connectTo(wing, server, ending);
      assert.deepEqual(await again.rows('SELECT count(*) FROM numbers'), [['20000']]);
    });
  });
}
