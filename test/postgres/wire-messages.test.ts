import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { OperatingError } from '../../src/lib/errors.js';
import { answers } from '../../src/postgres/answers.js';
import {
  decodeDataRow,
  decodeError,
  decodeParameterDescription,
  decodeReport,
  decodeRowDescription,
  encodeNotification,
  encodeParameterDescription,
  encodeReadyForQuery,
} from '../../src/postgres/backend-messages.js';
import {
  decodeBind,
  decodeExecute,
  decodeNamed,
  decodeParse,
  decodeQuery,
  decodeStartupPacket,
  encodeBind,
  encodeCancelRequest,
  encodeClose,
  encodeCopyFail,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  encodePassword,
  encodeQuery,
  encodeStartupMessage,
  renameBind,
} from '../../src/postgres/frontend-messages.js';
import { Writer } from '../../src/postgres/wire.js';

/** node-postgres's own codec, as a second opinion. */
const protocol = createRequire(createRequire(import.meta.url).resolve('pg'))('pg-protocol') as {
  parse(stream: PassThrough, take: (message: Record<string, unknown>) => void): Promise<void>;
  serialize: Record<string, (...args: never[]) => Buffer> & {
    query(sql: string): Buffer;
    parse(query: { name: string; text: string; types: number[] }): Buffer;
    bind(config: { portal: string; statement: string; values: (string | Buffer | null)[] }): Buffer;
    describe(target: { type: 'S' | 'P'; name: string }): Buffer;
    close(target: { type: 'S' | 'P'; name: string }): Buffer;
    execute(config: { portal: string; rows: number }): Buffer;
    password(password: string): Buffer;
    copyFail(reason: string): Buffer;
    cancel(processId: number, key: number): Buffer;
  };
};

const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((value) => value.replaceAll('\0', ''));
const oid = fc.integer({ min: 0, max: 0xffffffff });
const value = fc.option(
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  { nil: undefined },
);
const format = fc.constantFrom(0, 1);

async function secondOpinion(...frames: Buffer[]): Promise<Record<string, unknown>[]> {
  const stream = new PassThrough();
  const messages: Record<string, unknown>[] = [];
  const done = protocol.parse(stream, (message) => messages.push({ ...message }));
  stream.end(Buffer.concat(frames));
  await done;
  return messages;
}

describe('messages of clients', () => {
  test('come out of the decoder as they went into the encoder', () => {
    fc.assert(
      fc.property(text, text, fc.array(oid, { maxLength: 5 }), (name, sql, types) => {
        assert.equal(decodeQuery(encodeQuery(sql)), sql);
        assert.deepEqual(decodeParse(encodeParse(name, sql, types)), {
          type: 'Parse',
          name,
          sql,
          bytes: undefined,
          parameterTypes: types,
        });
        assert.deepEqual(decodeNamed(encodeDescribe('statement', name), 'Describe'), {
          target: 'statement',
          name,
        });
        assert.deepEqual(decodeNamed(encodeClose('portal', name), 'Close'), { target: 'portal', name });
        assert.deepEqual(decodeExecute(encodeExecute(name, 17)), {
          type: 'Execute',
          portal: name,
          maxRows: 17,
        });
      }),
    );
  });

  test('keep every value of a Bind, also under another statement name', () => {
    const binds = fc.record({
      portal: text,
      statement: text,
      parameterFormats: fc.array(format, { maxLength: 1 }),
      parameters: fc.array(value, { maxLength: 6 }),
      resultFormats: fc.array(format, { maxLength: 3 }),
    });
    fc.assert(
      fc.property(binds, fc.stringMatching(/^rf_\d{1,9}(_\d{1,9})?$/), (fields, name) => {
        const check = (frame: Buffer, statement: string) => {
          const bind = decodeBind(frame);
          assert.deepEqual([bind.portal, bind.statement], [fields.portal, statement]);
          assert.deepEqual(
            [bind.parameterFormats, bind.resultFormats],
            [fields.parameterFormats, fields.resultFormats],
          );
          const values = bind.parameterOffsets.map((offset) => {
            const length = frame.readInt32BE(offset);
            return length === -1 ? undefined : frame.subarray(offset + 4, offset + 4 + length);
          });
          assert.deepEqual(values, fields.parameters);
        };
        const frame = encodeBind(fields);
        check(frame, fields.statement);
        const renamed = Buffer.concat(renameBind(frame, name));
        assert.equal(renamed.readInt32BE(1), renamed.length - 1);
        check(renamed, name);
      }),
    );
  });

  test('are the bytes that node-postgres sends', () => {
    const { serialize } = protocol;
    assert.deepEqual(encodeQuery('SELECT ä'), serialize.query('SELECT ä'));
    assert.deepEqual(
      encodeParse('s', 'SELECT $1', [23, 25]),
      serialize.parse({ name: 's', text: 'SELECT $1', types: [23, 25] }),
    );
    const bind = {
      portal: 'p',
      statement: 's',
      parameterFormats: [0, 0],
      parameters: [Buffer.from('a'), undefined],
      resultFormats: [0],
    };
    assert.deepEqual(encodeBind(bind), serialize.bind({ portal: 'p', statement: 's', values: ['a', null] }));
    assert.deepEqual(encodeDescribe('statement', 's'), serialize.describe({ type: 'S', name: 's' }));
    assert.deepEqual(encodeClose('portal', 'p'), serialize.close({ type: 'P', name: 'p' }));
    assert.deepEqual(encodeExecute('p', 10), serialize.execute({ portal: 'p', rows: 10 }));
    assert.deepEqual(encodePassword('geheim'), serialize.password('geheim'));
    assert.deepEqual(encodeCopyFail('no'), serialize.copyFail('no'));
    assert.deepEqual(encodeCancelRequest(7, Buffer.from([0, 0, 0, 9])), serialize.cancel(7, 9));
  });

  test('that are cut short anywhere are a protocol violation, never another error', () => {
    const bind = encodeBind({
      portal: 'p',
      statement: 's',
      parameterFormats: [0],
      parameters: [Buffer.from('abc'), undefined],
      resultFormats: [1, 0],
    });
    const whole: [Buffer, (frame: Buffer) => unknown][] = [
      [encodeQuery('SELECT 1'), decodeQuery],
      [encodeParse('s', 'SELECT 1', [1, 2]), decodeParse],
      [bind, decodeBind],
      [encodeDescribe('portal', 'p'), (frame) => decodeNamed(frame, 'Describe')],
      [encodeExecute('p', 1), decodeExecute],
      [encodeStartupMessage(new Map([['user', 'app']])), decodeStartupPacket],
    ];
    for (const [frame, decode] of whole) {
      for (let length = 5; length < frame.length; length++) {
        assert.throws(
          () => decode(frame.subarray(0, length)),
          (error: unknown) => error instanceof OperatingError && error.code === 'protocol-violation',
          `${frame.toString('latin1')} cut at ${length}`,
        );
      }
    }
  });

  test('of garbage are decoded or are a protocol violation', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 80 }), (bytes) => {
        const frame = Buffer.concat([Buffer.from([0x42, 0, 0, 0, 0]), Buffer.from(bytes)]);
        for (const decode of [decodeBind, decodeParse, decodeExecute, decodeQuery, decodeStartupPacket]) {
          try {
            decode(frame);
          } catch (thrown) {
            assert.ok(
              thrown instanceof OperatingError && thrown.code === 'protocol-violation',
              String(thrown),
            );
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('keep the bytes of a text that is not UTF-8', () => {
    const sql = Buffer.from([0x53, 0xe4, 0x54]);
    const parsed = decodeParse(encodeParse('', sql, []));
    assert.deepEqual(parsed.bytes, sql);
    assert.equal(decodeParse(encodeParse('', 'S\ufffdT', [])).bytes, undefined);
  });
});

describe('messages of servers', () => {
  const columns = [
    { name: 'id', typeOid: 23, tableOid: 16384, columnNumber: 1, typeSize: 4, typeModifier: -1 },
    { name: 'größe', typeOid: 4294967295, tableOid: 0, columnNumber: 0, typeSize: -1, typeModifier: 68 },
  ];

  test('come out of the decoder as they went into the encoder', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 8 }), fc.array(oid, { maxLength: 8 }), (fields, oids) => {
        assert.deepEqual(decodeDataRow(answers.dataRow(fields)), fields);
        assert.deepEqual(decodeParameterDescription(encodeParameterDescription(oids)), oids);
      }),
    );
    assert.deepEqual(decodeRowDescription(answers.rowDescription(columns, [1])), columns);
  });

  test('are understood by node-postgres', async () => {
    const error = new OperatingError('unsupported', 'not here', { hint: 'there', detail: 'why' });
    const messages = await secondOpinion(
      answers.rowDescription(columns, [0, 1]),
      answers.dataRow([Buffer.from('7'), undefined]),
      answers.commandComplete('SELECT 1'),
      answers.error(error),
      answers.notice('mind', '01000'),
      answers.parameterStatus('TimeZone', 'UTC'),
      answers.parseComplete(),
      answers.bindComplete(),
      answers.closeComplete(),
      answers.noData(),
      answers.portalSuspended(),
      answers.emptyQuery(),
      answers.describedStatement('s', { parameterTypes: [23], columns: undefined }),
      answers.copyInResponse(0, 2),
      answers.copyOutResponse(1, 1),
      answers.copyData(Buffer.from('x')),
      answers.copyDone(),
      encodeNotification(5, 'news', 'text'),
      encodeReadyForQuery('failed'),
    );
    assert.deepEqual(
      messages.map((message) => message['name']),
      [
        'rowDescription',
        'dataRow',
        'commandComplete',
        'error',
        'notice',
        'parameterStatus',
        'parseComplete',
        'bindComplete',
        'closeComplete',
        'noData',
        'portalSuspended',
        'emptyQuery',
        'parameterDescription',
        'noData',
        'copyInResponse',
        'copyOutResponse',
        'copyData',
        'copyDone',
        'notification',
        'readyForQuery',
      ],
    );
    const [described, row, , failed] = messages;
    assert.deepEqual(
      (described!['fields'] as { name: string; format: string }[]).map(({ name, format: given }) => [
        name,
        given,
      ]),
      [
        ['id', 'text'],
        ['größe', 'binary'],
      ],
    );
    assert.deepEqual(row!['fields'], ['7', null]);
    assert.deepEqual(
      [failed!['code'], failed!['severity'], failed!['hint'], failed!['detail']],
      ['0A000', 'ERROR', 'there', 'why'],
    );
    assert.equal(messages.at(-1)!['status'], 'E');
  });

  test('that are errors keep all their fields, and a frame of their own', () => {
    const frame = answers.error(new OperatingError('too-many-clients', 'no\0 more'));
    const error = decodeError(frame);
    assert.deepEqual([error.sqlstate, error.message, error.isFatal], ['53300', 'no more', false]);
    assert.notEqual(error.frame.buffer, undefined);
    frame.fill(0);
    assert.equal(decodeReport(error.frame).get('M'), 'no more');
  });
});

describe('the writer of messages', () => {
  test('loses no byte where its memory grows', () => {
    for (let length = 0; length < 300; length++) {
      const written = new Writer(0x44, 1).bytes(Buffer.alloc(length)).byte(0x5a).finish();
      assert.equal(written.at(-1), 0x5a, `behind ${length} bytes`);
    }
  });
});
