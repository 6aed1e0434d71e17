import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { AnswerReader } from '../../src/mysql/answer-reader.js';
import { NATIVE } from '../../src/mysql/auth-plugins.js';
import { connectMysqlBackend } from '../../src/mysql/backend.js';
import { STATUS } from '../../src/mysql/capabilities.js';
import { encodePacket, PacketFramer } from '../../src/mysql/packets.js';
import {
  encodeColumn,
  encodeColumnCount,
  encodeEof,
  encodeErr,
  encodeOk,
  encodePrepareOk,
  encodeTextRow,
} from '../../src/mysql/result-messages.js';
import { type Backend, ServerFailure } from '../../src/pool/backend.js';
import { forward, request } from './backend-requests.js';
import { type ScriptedPeer, ScriptedServer } from './scripted-server.js';

const COLUMN = encodeColumn({
  name: 'a',
  typeOid: 253,
  tableOid: 45,
  typeSize: 20,
  typeModifier: 0,
  columnNumber: 0,
});
const ROW = encodeTextRow([Buffer.from('x')]);
const RESULT = [
  encodeColumnCount(1),
  COLUMN,
  encodeEof(STATUS.AUTOCOMMIT),
  ROW,
  encodeEof(STATUS.AUTOCOMMIT),
];

/** The parts of an answer, or the error that its reader throws. */
function read(kind: ConstructorParameters<typeof AnswerReader>[0], ...payloads: readonly Buffer[]): string[] {
  const reader = new AnswerReader(kind);
  const framer = new PacketFramer();
  framer.push(Buffer.concat(payloads.map((payload, index) => encodePacket(payload, index))));
  const parts: string[] = [];
  while (framer.next()) {
    assert.equal(reader.isOver, false, 'the answer was over before its last packet');
    parts.push(reader.read(framer));
  }
  if (reader.isOver) parts.push('over');
  return parts;
}

describe('the reader of answers', () => {
  test('knows where an answer ends', () => {
    const more = STATUS.MORE_RESULTS_EXISTS;
    assert.deepEqual(read('results', encodeOk({})), ['ok', 'over']);
    assert.deepEqual(read('results', encodeOk({ status: more }), encodeOk({})), ['ok', 'ok', 'over']);
    assert.deepEqual(read('results', ...RESULT), [
      'columns',
      'definition',
      'definitions-end',
      'row',
      'eof',
      'over',
    ]);
    const first = [...RESULT.slice(0, 3), encodeEof(more)];
    assert.deepEqual(read('results', ...first, encodeOk({})).slice(-3), ['eof', 'ok', 'over']);
    const err = encodeErr({ errno: 1, sqlstate: 'HY000', message: '' });
    assert.deepEqual(read('results', ...RESULT.slice(0, 4), err).slice(-2), ['error', 'over']);
    assert.deepEqual(read('status', encodeEof(0)), ['eof', 'over']);
  });

  test('knows which definitions a prepared statement has', () => {
    const prepare = (columns: number, parameters: number) =>
      encodePrepareOk({ statementId: 1, columns, parameters, warnings: 0 });
    const eof = encodeEof(0);
    assert.deepEqual(read('prepare', prepare(0, 0)), ['prepared', 'over']);
    assert.deepEqual(read('prepare', prepare(0, 1), COLUMN, eof), [
      'prepared',
      'parameter',
      'definitions-end',
      'over',
    ]);
    assert.deepEqual(read('prepare', prepare(1, 0), COLUMN, eof).slice(1), [
      'definition',
      'definitions-end',
      'over',
    ]);
    assert.equal(read('prepare', prepare(2, 1), COLUMN, eof, COLUMN, COLUMN, eof).at(-1), 'over');
  });

  test('takes a row that begins like an EOF for a row', () => {
    const long = Buffer.concat([Buffer.from([0xfe, 9, 0, 0, 0, 0, 0, 0, 0]), Buffer.alloc(9)]);
    assert.deepEqual(read('results', ...RESULT.slice(0, 3), long).at(-1), 'row');
  });

  test('refuses what does not belong there', () => {
    const wrong: [Parameters<typeof read>[0], Buffer[]][] = [
      ['results', [encodeEof(0)]],
      ['results', [Buffer.alloc(0)]],
      ['results', [encodeColumnCount(1), COLUMN, COLUMN]],
      ['prepare', [encodeColumnCount(1)]],
      ['status', [encodeColumnCount(1)]],
    ];
    for (const [kind, payloads] of wrong)
      assert.throws(
        () => read(kind, ...payloads),
        (error: unknown) => error instanceof OperatingError && error.code === 'protocol-violation',
      );
  });
});

describe('a server that says something else', () => {
  const running: ScriptedServer[] = [];
  afterEach(async () => {
    for (const server of running.splice(0)) await server.close();
  });

  async function against(script: (peer: ScriptedPeer) => Promise<void>): Promise<Backend> {
    const server = await new ScriptedServer(async (peer) => {
      await peer.greet({ plugin: NATIVE });
      peer.welcome();
      await script(peer);
    }).listen();
    running.push(server);
    const target = {
      shard: 'a',
      url: `mysql://127.0.0.1:${server.port}/`,
      user: 'app',
      password: undefined,
      database: '',
    };
    return connectMysqlBackend(target, new Map(), AbortSignal.timeout(30_000));
  }

  test('never gets a file of ours', async () => {
    let after: Buffer | undefined;
    const backend = await against(async (peer) => {
      await peer.packet();
      peer.send(Buffer.from('\xfb/etc/passwd', 'latin1'));
      after = await peer.packet().catch(() => undefined);
    });
    const { broken, payloads } = await forward(backend, request.query('SELECT 1'));
    assert.match(broken?.message ?? '', /local file/);
    assert.deepEqual(payloads, []);
    assert.equal(after, undefined);
  });

  test('loses the connection when it goes on behind the end of an answer', async () => {
    const backend = await against(async (peer) => {
      await peer.packet();
      peer.send(encodeOk({}), encodeOk({}));
    });
    const lost = new Promise<Error>((resolve) => {
      backend.onLost = resolve;
    });
    await forward(backend, request.query('DO 1'));
    assert.match((await lost).message, /nobody asked for/);
    assert.equal(backend.isBroken, true);
  });

  test('is heard when it says why it ends an idle connection', async () => {
    const message = 'The client was disconnected by the server because of inactivity.';
    let end = () => {};
    const backend = await against(
      (peer) =>
        new Promise<void>((resolve) => {
          end = () => {
            peer.send(encodeErr({ errno: 4031, sqlstate: 'HY000', message }));
            resolve();
          };
        }),
    );
    const lost = new Promise<Error>((resolve) => {
      backend.onLost = resolve;
    });
    end();
    const error = await lost;
    assert.ok(error instanceof OperatingError && error.cause instanceof ServerFailure);
    assert.equal(error.cause.serverError.message, message);
  });

  test('that ends the connection in the middle of a request is not taken for an answer', async () => {
    const backend = await against(async (peer) => {
      await peer.packet();
      peer.send(
        ...RESULT.slice(0, 4),
        encodeErr({ errno: 1927, sqlstate: '70100', message: 'Connection was killed' }),
      );
    });
    const { broken, error } = await forward(backend, request.query('SELECT 1'));
    assert.match(broken?.message ?? '', /was killed/);
    assert.equal(error, undefined);
  });
});
