import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Backend, RequestLine, SharedSink } from '../../src/pool/backend.js';
import type { Request } from '../../src/pool/request.js';
import { StatementIds } from '../../src/pool/statement-ids.js';
import { answers } from '../../src/postgres/answers.js';
import { connectBackend } from '../../src/postgres/backend.js';
import { encodeReadyForQuery } from '../../src/postgres/backend-messages.js';
import { type ScriptedPeer, ScriptedServer } from '../fakes/scripted-server.js';
import { bind, execute, parse, request } from './wire-requests.js';

const servers: ScriptedServer[] = [];
after(async () => {
  for (const server of servers) await server.stop();
});

async function connect(
  script: (peer: ScriptedPeer) => Promise<void> | void,
): Promise<{ backend: Backend; line: RequestLine; server: ScriptedServer }> {
  const server = await ScriptedServer.start(script);
  servers.push(server);
  const target = { shard: 'a', url: server.url, user: 'app', password: undefined, database: 'x' };
  const backend = await connectBackend(target, new Map(), AbortSignal.timeout(30_000));
  return { backend, line: backend.line!, server };
}

function lettersIn(chunks: readonly Buffer[]): string {
  const bytes = Buffer.concat(chunks);
  let letters = '';
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1))
    letters += String.fromCharCode(bytes[at]!);
  return letters;
}

/** Joins the line; what becomes of it, with the letters of its answer. */
function joins(line: RequestLine, asked: Request): { sink: SharedSink; end: Promise<string> } {
  const chunks: Buffer[] = [];
  let sink!: SharedSink;
  const end = new Promise<string>((resolve) => {
    sink = {
      onBytes: (chunk) => chunks.push(Buffer.from(chunk)) > 0,
      onError: () => {},
      onCommandTag: () => {},
      onCopyIn: () => {},
      onParameter: () => {},
      onEnd: () => resolve(lettersIn(chunks)),
      onBroken: () => resolve(`${lettersIn(chunks)} lost`),
      onMoved: () => resolve(`${lettersIn(chunks)} moved`),
    };
  });
  line.join(asked, sink);
  return { sink, end };
}

const row = answers.dataRow([Buffer.from('1')]);
const tag = answers.commandComplete('SELECT 1');
const ready = encodeReadyForQuery('idle');
const refused = answers.error(
  Object.assign(new Error('no'), { sqlstate: '42601', severity: 'ERROR' }) as never,
);

describe('requests in line on one connection', () => {
  test('are written without waiting, and each gets its own answer however the bytes come', async () => {
    const { line, backend } = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('QQPBESQ');
      const all = Buffer.concat([
        row,
        tag,
        ready,
        row,
        row,
        tag,
        ready,
        answers.parseComplete(),
        answers.bindComplete(),
        tag,
        ready,
        refused,
        ready,
      ]);
      for (const byte of all) {
        peer.send(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    const step = parse(new StatementIds(), '', 'SELECT 3');
    const ends = [
      request.query('SELECT 1'),
      request.query('SELECT 2'),
      request.sync(step, bind(step), execute()),
      request.query('SELECT 4'),
    ].map((asked) => joins(line, asked).end);
    assert.equal(line.length, 4);
    assert.deepEqual(await Promise.all(ends), ['DCZ', 'DDCZ', '12CZ', 'EZ']);
    assert.deepEqual([line.length, line.answeredTotal, backend.isBusy], [0, 4, false]);
  });

  test('are not joined by one whose statement another is making, which may yet be refused', async () => {
    let answer!: () => void;
    const { line } = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('PBES');
      answer = () => peer.send(refused, ready);
      await peer.expect('PBES');
      peer.send(answers.parseComplete(), answers.bindComplete(), tag, ready);
    });
    const step = parse(new StatementIds(), '', 'SELECT 1');
    const first = joins(line, request.sync(step, bind(step), execute()));
    const later = request.sync(bind(step), execute());
    assert.equal(line.takes(later), false);
    // With its own Parse it does not depend on anybody.
    assert.equal(line.takes(request.sync(step, bind(step), execute())), true);
    while (answer === undefined) await new Promise((resolve) => setImmediate(resolve));
    answer();
    assert.equal(await first.end, 'EZ');
    assert.equal(line.takes(later), true);
    assert.equal(await joins(line, later).end, '2CZ');
  });

  test('that are given up leave the answers of the others where they belong', async () => {
    let answer!: () => void;
    const { line } = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('QQQ');
      answer = () => peer.send(row, tag, ready, row, row, tag, ready, tag, ready);
    });
    const [one, two, three] = [1, 2, 3].map((n) => joins(line, request.query(`SELECT ${n}`)));
    line.giveUp(one!.sink);
    line.giveUp(two!.sink);
    assert.equal(line.isHeadGivenUp, true);
    while (answer === undefined) await new Promise((resolve) => setImmediate(resolve));
    answer();
    assert.equal(await three!.end, 'CZ');
  });

  test('move when the line is dissolved, all but the head, and their answers go to nobody', async () => {
    let answer!: () => void;
    const { line } = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('QQQ');
      answer = () => peer.send(row, tag, ready, row, row, tag, ready, tag, ready);
    });
    const [head, two, three] = [1, 2, 3].map((n) => joins(line, request.query(`SELECT ${n}`)));
    line.dissolve();
    assert.deepEqual(await Promise.all([two!.end, three!.end]), [' moved', ' moved']);
    while (answer === undefined) await new Promise((resolve) => setImmediate(resolve));
    answer();
    assert.equal(await head!.end, 'DCZ');
    while (line.length > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(line.answeredTotal, 3);
  });

  test('are all told when the connection is lost, the head with what had come', async () => {
    const { line, backend } = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('QQ');
      peer.send(row);
      setTimeout(() => peer.socket.destroy(), 20);
    });
    const ends = [1, 2].map((n) => joins(line, request.query(`SELECT ${n}`)).end);
    assert.deepEqual(await Promise.all(ends), ['D lost', ' lost']);
    assert.deepEqual([backend.isBroken, line.length], [true, 0]);
    assert.equal(line.takes(request.query('SELECT 3')), false);
  });

  test('never run in a transaction that the one before has left open', async () => {
    const { line, backend } = await connect(async (peer) => {
      peer.welcome();
      await peer.expect('QQ');
      peer.send(row, tag, encodeReadyForQuery('open'), row, tag, encodeReadyForQuery('open'));
    });
    const ends = [1, 2].map((n) => joins(line, request.query(`SELECT ${n}`)).end);
    assert.equal((await ends[1]) ?? '', ' lost');
    assert.equal(backend.isBroken, true);
  });
});
