import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import type { Backend } from '../../src/pool/backend.js';
import { StatementIds } from '../../src/pool/statement-ids.js';
import { answers } from '../../src/postgres/answers.js';
import { connectBackend } from '../../src/postgres/backend.js';
import {
  encodeAuthenticationCleartextPassword,
  encodeReadyForQuery,
} from '../../src/postgres/backend-messages.js';
import { encodeFunctionCall } from '../../src/postgres/frontend-messages.js';
import { type ScriptedPeer, ScriptedServer } from '../fakes/scripted-server.js';
import { bind, execute, parse, request } from './wire-requests.js';
import { forward } from './wire-sink.js';

const servers: ScriptedServer[] = [];
const open: Backend[] = [];

afterEach(async () => {
  for (const backend of open.splice(0)) backend.terminate();
  for (const server of servers.splice(0)) await server.stop();
});

async function connect(
  script: (peer: ScriptedPeer) => Promise<void> | void,
  timeoutMs = 3_000,
): Promise<Backend> {
  const server = await ScriptedServer.start(script);
  servers.push(server);
  const target = { shard: 'a', url: server.url, user: 'app', password: 'x', database: 'x' };
  const backend = await connectBackend(target, new Map(), AbortSignal.timeout(timeoutMs));
  open.push(backend);
  return backend;
}

const tag = answers.commandComplete('SELECT 1');
const ready = encodeReadyForQuery('idle');

describe('a backend whose server does not keep to the protocol', () => {
  const nonsense: [string, Buffer[]][] = [
    ['an unknown message type', [Buffer.from([0x21, 0, 0, 0, 4])]],
    ['a negative length', [Buffer.from([0x43, 0xff, 0xff, 0xff, 0xff])]],
    ['ParseComplete for a simple query', [answers.parseComplete()]],
    ['CopyBothResponse', [Buffer.from([0x57, 0, 0, 0, 7, 0, 0, 0])]],
    ['a transaction status that does not exist', [tag, Buffer.from([0x5a, 0, 0, 0, 5, 0x58])]],
    ['a tag without an end', [Buffer.from([0x43, 0, 0, 0, 5, 0x41])]],
    ['a login message', [Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0])]],
  ];
  for (const [what, frames] of nonsense) {
    test(`is broken by ${what}, and says so once`, async () => {
      const backend = await connect(async (peer) => {
        peer.welcome();
        await peer.expect('Q');
        peer.send(...frames);
      });
      let closed = 0;
      backend.onClosed = () => closed++;
      const relayed = await forward(backend, request.query('SELECT 1'));
      assert.ok(relayed.broken instanceof OperatingError);
      assert.equal(relayed.broken.code, 'shard-unavailable');
      assert.match(relayed.broken.message, /shard "a"/);
      assert.deepEqual([backend.isBroken, backend.isBusy, closed], [true, false, 1]);
    });
  }

  test('is broken by answers that nobody asked for', async () => {
    for (const frame of [
      tag,
      ready,
      answers.dataRow([]),
      answers.error(new OperatingError('internal', 'x')),
    ]) {
      const backend = await connect(async (peer) => {
        peer.welcome();
        await peer.expect('Q');
        peer.send(tag, ready, frame);
      });
      await new Promise<void>((resolve) => {
        backend.onClosed = resolve;
        void forward(backend, request.query('SELECT 1'));
      });
      assert.ok(backend.isBroken);
    }
  });

  test('is broken by a ReadyForQuery before the answers of a pipeline', async () => {
    const backend = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('PBES');
      peer.send(answers.parseComplete(), ready);
    });
    const step = parse(new StatementIds(), '', 'SELECT 1');
    const relayed = await forward(backend, request.sync(step, bind(step), execute()), { rename: true });
    assert.match(relayed.broken?.message ?? '', /does not belong there/);
  });

  test('hears that the server went away in the middle of an answer, and passes on what came', async () => {
    const backend = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('Q');
      peer.send(answers.dataRow([Buffer.from('x')]));
      setTimeout(() => peer.socket.destroy(), 20);
    });
    const relayed = await forward(backend, request.query('SELECT 1'));
    assert.equal(relayed.codes, 'D');
    assert.match(relayed.broken?.message ?? '', /lost/);
  });

  test('takes notices, parameters and notifications between any two answers', async () => {
    const backend = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('PBES');
      const aside = [answers.notice('n', '01000'), answers.parameterStatus('TimeZone', 'UTC')];
      for (const frame of [answers.parseComplete(), answers.bindComplete(), tag, ready])
        peer.send(...aside, frame);
    });
    const step = parse(new StatementIds(), '', 'SELECT 1');
    const relayed = await forward(backend, request.sync(step, bind(step), execute()), { rename: true });
    assert.equal(relayed.codes, 'NS1NS2NSCNS');
    assert.equal(backend.parameters.get('TimeZone'), 'UTC');
  });

  test('hides what belongs to its own BEGIN', async () => {
    const backend = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('PBEQS');
      peer.send(
        answers.parseComplete(),
        answers.notice('own', '01000'),
        answers.bindComplete(),
        answers.commandComplete('BEGIN'),
      );
      peer.send(tag, encodeReadyForQuery('open'), encodeReadyForQuery('open'));
    });
    const relayed = await forward(backend, request.query('SELECT 1'), { before: ['BEGIN'] });
    assert.deepEqual([relayed.codes, relayed.tags, relayed.status], ['C', ['SELECT 1'], 'open']);
  });
});

test('a backend calls functions and passes their results on', async () => {
  const backend = await connect(async (peer) => {
    peer.welcome();
    await peer.expect('F');
    peer.send(Buffer.from([0x56, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff]), ready);
  });
  const frame = encodeFunctionCall(1598, []);
  const relayed = await forward(backend, {
    steps: [{ type: 'function-call', frame }],
    end: 'query',
    byteLength: 0,
  });
  assert.deepEqual([relayed.codes, relayed.status], ['V', 'idle']);
});

describe('logging in to a server that does not keep to the protocol', () => {
  const fails = (script: (peer: ScriptedPeer) => void, expected: RegExp, timeoutMs?: number) =>
    assert.rejects(connect(script, timeoutMs), (error: unknown) => {
      assert.ok(error instanceof OperatingError);
      assert.equal(error.code, 'shard-connect-failed');
      assert.match(error.message, expected);
      assert.match(error.message, /shard "a"/);
      return true;
    });

  test('fails with a reason, and does not hang', async () => {
    await fails((peer) => peer.socket.destroy(), /closed the connection|ECONNRESET/);
    await fails((peer) => peer.send(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')), /./);
    await fails((peer) => peer.send(tag), /unexpected message/);
    await fails(
      (peer) => peer.send(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 7])),
      /authentication method that is not supported/,
    );
    await fails(() => {}, /no answer in time/, 200);
  });

  test('gives its password to a server that asks for it in clear', async () => {
    const script = async (peer: ScriptedPeer) => {
      peer.send(encodeAuthenticationCleartextPassword());
      await peer.expect('p');
      peer.welcome();
    };
    assert.ok(!(await connect(script)).isBroken);
  });

  test('does not believe a server that skips the end of SCRAM', async () => {
    const { encodeAuthenticationOk, encodeAuthenticationSASL } = await import(
      '../../src/postgres/backend-messages.js'
    );
    await fails((peer) => {
      peer.send(encodeAuthenticationSASL(['SCRAM-SHA-256']));
      setTimeout(() => peer.send(encodeAuthenticationOk(), ready), 20);
    }, /without proving itself/);
  });
});
