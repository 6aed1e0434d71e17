import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AnswerStream } from '../../src/mysql/answer-stream.js';
import { STATUS } from '../../src/mysql/capabilities.js';
import { encodePacket, MAX_PAYLOAD_BYTES } from '../../src/mysql/packets.js';
import {
  encodeEof,
  encodeErr,
  encodeOk,
  encodePrepareOk,
  type PrepareOk,
} from '../../src/mysql/result-messages.js';

const { AUTOCOMMIT, IN_TRANS, MORE_RESULTS_EXISTS } = STATUS;
const ROW = Buffer.from('\x03abc');
const ok = (status: number) => encodeOk({ affectedRows: 300n, lastInsertId: 70_000n, status, info: 'x' });
const err = encodeErr({ errno: 1064, sqlstate: '42000', message: 'no' });

class Sink {
  bytes: Buffer = Buffer.alloc(0);
  readonly stream = new AnswerStream((chunk) => {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    return true;
  });

  /** `number:payload` of each packet, payloads in hexadecimal. */
  get packets(): string[] {
    const found: string[] = [];
    for (let at = 0; at < this.bytes.length; ) {
      const end = at + 4 + this.bytes.readUIntLE(at, 3);
      found.push(`${this.bytes[at + 3]}:${this.bytes.toString('hex', at + 4, end)}`);
      at = end;
    }
    return found;
  }
}

const told = (number: number, payload: Buffer) => `${number}:${payload.toString('hex')}`;

describe('the stream of answers', () => {
  test('numbers packets on from the command, wherever the bytes are cut', () => {
    const bytes = Buffer.concat([
      encodePacket(ROW, 9),
      encodePacket(Buffer.alloc(0), 3),
      encodePacket(ROW, 3),
    ]);
    const expected = [told(255, ROW), '0:', told(1, ROW)];
    for (let cut = 0; cut <= bytes.length; cut++) {
      const sink = new Sink();
      sink.stream.begin(255);
      const [first, second] = [Buffer.from(bytes.subarray(0, cut)), Buffer.from(bytes.subarray(cut))];
      sink.stream.send(first);
      sink.stream.send(second);
      assert.deepEqual(sink.packets, expected);
      assert.deepEqual(Buffer.concat([first, second]), bytes, 'what was given stays as it is');
    }
  });

  test('numbers each part of a packet longer than 16 MB', () => {
    const sink = new Sink();
    sink.stream.begin(1);
    const long = encodePacket(Buffer.alloc(MAX_PAYLOAD_BYTES, 1), 7);
    sink.stream.send(long.subarray(0, 1000));
    assert.ok(sink.stream.isInsidePacket);
    sink.stream.send(long.subarray(1000, -2));
    assert.ok(sink.stream.isInsidePacket, 'the last part is still to come');
    sink.stream.send(long.subarray(-2));
    assert.ok(!sink.stream.isInsidePacket);
    sink.stream.send(encodePacket(ROW));
    const numbers = [
      sink.bytes[3],
      sink.bytes[4 + MAX_PAYLOAD_BYTES + 3],
      sink.bytes[4 + MAX_PAYLOAD_BYTES + 7],
    ];
    assert.deepEqual(numbers, [1, 2, 3]);
  });

  test('says in the packet that ends an answer whether another follows and how the transaction stands', () => {
    const bytes = [
      encodePacket(ok(AUTOCOMMIT)),
      encodePacket(ROW),
      encodePacket(encodeEof(IN_TRANS | MORE_RESULTS_EXISTS, 7)),
    ];
    for (let cut = 1; cut < bytes[0]!.length; cut++) {
      const sink = new Sink();
      sink.stream.begin(1);
      sink.stream.completes();
      sink.stream.send(bytes[0]!.subarray(0, cut));
      sink.stream.send(bytes[0]!.subarray(cut));
      assert.equal(sink.bytes.length, 0, 'kept until it is known');
      sink.stream.send(bytes[1]!);
      sink.stream.completes();
      sink.stream.send(bytes[2]!);
      assert.equal(sink.packets.length, 2);
      sink.stream.ready('idle', true);
      assert.deepEqual(sink.packets, [
        told(1, ok(AUTOCOMMIT | MORE_RESULTS_EXISTS)),
        told(2, ROW),
        told(3, encodeEof(AUTOCOMMIT, 7)),
      ]);
    }
  });

  test('ends of transactions and autocommit are as the session says, or as the server says', () => {
    const flagsAfter = (packet: Buffer, ...ready: Parameters<AnswerStream['ready']>) => {
      const sink = new Sink();
      sink.stream.begin(1);
      sink.stream.completes();
      sink.stream.send(encodePacket(packet));
      sink.stream.ready(...ready);
      return sink.packets[0];
    };
    assert.equal(flagsAfter(ok(AUTOCOMMIT), 'open', undefined), told(1, ok(AUTOCOMMIT | IN_TRANS)));
    assert.equal(flagsAfter(ok(IN_TRANS), 'idle', undefined), told(1, ok(0)));
    assert.equal(flagsAfter(ok(AUTOCOMMIT), 'failed', false), told(1, ok(IN_TRANS)));
    assert.equal(flagsAfter(err, 'open', true), told(1, err));
    const text = Buffer.from('Uptime: 1  Threads: 1');
    assert.equal(flagsAfter(text, 'open', true), told(1, text));
  });

  test('an answer that goes on in the same chunk releases what was kept', () => {
    const sink = new Sink();
    sink.stream.begin(1);
    sink.stream.completes();
    sink.stream.send(Buffer.concat([encodePacket(ok(AUTOCOMMIT)), encodePacket(err)]));
    sink.stream.ready('idle', undefined);
    assert.deepEqual(sink.packets, [told(1, ok(AUTOCOMMIT | MORE_RESULTS_EXISTS)), told(2, err)]);
  });

  test('remembers the lasting flags of what was told', () => {
    const sink = new Sink();
    assert.equal(sink.stream.flags, AUTOCOMMIT);
    sink.stream.begin(1);
    sink.stream.completes();
    sink.stream.send(encodePacket(ok(STATUS.NO_BACKSLASH_ESCAPES | STATUS.NO_INDEX_USED)));
    sink.stream.ready('open', undefined);
    assert.equal(sink.stream.flags, STATUS.NO_BACKSLASH_ESCAPES | IN_TRANS);
    sink.stream.begin(1);
    sink.stream.send(encodePacket(err));
    sink.stream.ready('idle', true);
    assert.equal(sink.stream.flags, STATUS.NO_BACKSLASH_ESCAPES | AUTOCOMMIT);
  });

  test('tells the client its own id of a prepared statement, and us what the server said', () => {
    const answer = { statementId: 77, columns: 1, parameters: 2, warnings: 0 };
    for (const cut of [0, 3, 4, 10, 16]) {
      const heard: (PrepareOk | undefined)[] = [];
      const sink = new Sink();
      sink.stream.begin(1, { preparation: { statementId: 5, onAnswer: (said) => heard.push(said) } });
      const bytes = Buffer.concat([encodePacket(encodePrepareOk(answer)), encodePacket(ROW)]);
      sink.stream.send(bytes.subarray(0, cut));
      sink.stream.send(bytes.subarray(cut));
      sink.stream.ready('idle', undefined);
      assert.deepEqual(sink.packets, [told(1, encodePrepareOk({ ...answer, statementId: 5 })), told(2, ROW)]);
      assert.deepEqual(heard, [{ ...answer, statementId: 5 }]);
    }
    const heard: unknown[] = [];
    const sink = new Sink();
    sink.stream.begin(1, { preparation: { statementId: 5, onAnswer: (said) => heard.push(said) } });
    sink.stream.send(encodePacket(err));
    sink.stream.ready('idle', undefined);
    assert.deepEqual([sink.packets, heard], [[told(1, err)], [undefined]]);
  });
});
