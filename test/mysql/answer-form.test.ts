import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type AnswerForm,
  AnswerStream,
  type ComingAnswer,
  PLAIN_FORM,
} from '../../src/mysql/answer-stream.js';
import { STATUS } from '../../src/mysql/capabilities.js';
import { encodePacket } from '../../src/mysql/packets.js';
import {
  decodeOk,
  encodeColumnCount,
  encodeEof,
  encodeErr,
  encodeOk,
  encodePrepareOk,
} from '../../src/mysql/result-messages.js';
import { encodeStateChanges, stateChangesOf } from '../../src/mysql/session-track.js';

const { AUTOCOMMIT, MORE_RESULTS_EXISTS, SESSION_STATE_CHANGED } = STATUS;
const FORM: AnswerForm = { ...PLAIN_FORM, deprecatesEof: true };
const DEFINITION = Buffer.from('\x03def…');
/** Rows that begin as an OK, an EOF and a local file request do. */
const ROWS = [Buffer.from('\x00a'), Buffer.from(`\xfe${'x'.repeat(20)}`, 'latin1'), Buffer.of(0xfb)];
const err = encodeErr({ errno: 1064, sqlstate: '42000', message: 'no' });

/** What is sent before `completes`, and the packet behind it. */
type Piece = { readonly before: readonly Buffer[]; readonly ending?: Buffer };

const rows = (columns: number, ending: Buffer): Piece => ({
  before: [
    encodeColumnCount(columns),
    ...Array.from({ length: columns }, () => DEFINITION),
    encodeEof(AUTOCOMMIT),
    ...ROWS,
  ],
  ending,
});

/** Numbers and payloads of what a client with this form gets, every chunk cut at `cut`. */
function answered(form: AnswerForm, coming: ComingAnswer, pieces: readonly Piece[], cut: number): Buffer[] {
  let bytes: Buffer = Buffer.alloc(0);
  const stream = new AnswerStream((chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    return true;
  }, form);
  stream.begin(1, coming);
  const send = (packets: readonly Buffer[]) => {
    const whole = Buffer.concat(packets.map((payload) => encodePacket(payload, 7)));
    stream.send(whole.subarray(0, cut));
    stream.send(whole.subarray(cut));
  };
  for (const { before, ending } of pieces) {
    send(before);
    if (ending === undefined) continue;
    stream.completes();
    send([ending]);
  }
  stream.ready('idle', undefined);
  assert.ok(!stream.isInsidePacket);
  const payloads: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    assert.equal(bytes[at + 3], payloads.length + 1, 'numbers have no holes');
    const end = at + 4 + bytes.readUIntLE(at, 3);
    payloads.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return payloads;
}

function everywhereCut(
  form: AnswerForm,
  coming: () => ComingAnswer,
  pieces: readonly Piece[],
  expected: Buffer[],
): void {
  for (let cut = 0; cut < 90; cut++)
    assert.deepEqual(answered(form, coming(), pieces, cut), expected, `cut at ${cut}`);
}

describe('answers to a client with DEPRECATE_EOF', () => {
  test('have no EOF behind definitions and an OK that begins with fe behind rows, wherever the bytes are cut', () => {
    const pieces = [
      rows(2, encodeEof(AUTOCOMMIT, 3)),
      rows(1, encodeEof(AUTOCOMMIT)),
      { before: [], ending: encodeOk({ info: 'x' }) },
    ];
    everywhereCut(FORM, () => ({}), pieces, [
      encodeColumnCount(2),
      DEFINITION,
      DEFINITION,
      ...ROWS,
      encodeOk({ status: AUTOCOMMIT | MORE_RESULTS_EXISTS, warnings: 3 }, 0xfe),
      encodeColumnCount(1),
      DEFINITION,
      ...ROWS,
      encodeOk({ status: AUTOCOMMIT | MORE_RESULTS_EXISTS }, 0xfe),
      encodeOk({ info: 'x' }),
    ]);
  });

  test('to COM_STMT_PREPARE have no EOF behind parameters and columns', () => {
    for (const [parameters, columns] of [
      [2, 1],
      [0, 2],
      [1, 0],
      [0, 0],
    ] as const) {
      const group = (count: number) => Array.from({ length: count }, () => DEFINITION);
      const behind = (count: number) => (count === 0 ? [] : [...group(count), encodeEof(0)]);
      const head = encodePrepareOk({ statementId: 9, columns, parameters, warnings: 0 });
      everywhereCut(
        FORM,
        () => ({ preparation: { statementId: 9, onAnswer: () => {} } }),
        [{ before: [head, ...behind(parameters), ...behind(columns)] }],
        [head, ...group(parameters), ...group(columns)],
      );
    }
  });

  test('can end with an error at every point', () => {
    for (const before of [[err], [encodeColumnCount(1), err], [...rows(1, err).before, err]]) {
      const expected = before.filter((payload) => payload[0] !== 0xfe || payload.length > 5);
      everywhereCut(FORM, () => ({}), [{ before }], expected);
    }
  });

  test('that begin with definitions are passed as they are, but for their end', () => {
    const piece = { before: [DEFINITION, DEFINITION], ending: encodeEof(AUTOCOMMIT) };
    everywhereCut(
      FORM,
      () => ({ isHeadless: true }),
      [piece],
      [DEFINITION, DEFINITION, encodeOk({ status: AUTOCOMMIT }, 0xfe)],
    );
  });
});

describe('answers to a client with MARIADB_CLIENT_CACHE_METADATA', () => {
  test('say with the column count that definitions follow', () => {
    const count = Buffer.concat([encodeColumnCount(1), Buffer.of(1)]);
    const [, definition, eof, ...rest] = rows(1, err).before as [Buffer, Buffer, Buffer, ...Buffer[]];
    const form = { ...PLAIN_FORM, marksDefinitions: true };
    const end = encodeEof(AUTOCOMMIT);
    everywhereCut(form, () => ({}), [rows(1, end)], [count, definition, eof, ...rest, end]);
    everywhereCut(
      { ...form, deprecatesEof: true },
      () => ({}),
      [rows(1, end)],
      [count, definition, ...rest, encodeOk({ status: AUTOCOMMIT }, 0xfe)],
    );
  });
});

describe('answers to a client with SESSION_TRACK', () => {
  const tracking: AnswerForm = { ...PLAIN_FORM, tracksSession: true };
  const useOther = () => ({ changes: stateChangesOf('USE `o``ther`') });

  test('tell in the OK what the statement has changed, and autocommit whenever it is another', () => {
    const sessionState = encodeStateChanges([{ schema: 'o`ther' }, { name: 'autocommit', value: 'OFF' }]);
    const [ok] = answered(
      tracking,
      useOther(),
      [{ before: [], ending: encodeOk({ info: 'i', warnings: 2 }) }],
      0,
    );
    assert.deepEqual(ok, encodeOk({ info: 'i', warnings: 2, sessionState }));
    assert.equal(decodeOk(ok!).status, SESSION_STATE_CHANGED);
  });

  test('tell nothing with an error, nor when nothing has changed, nor to others', () => {
    assert.deepEqual(answered(tracking, useOther(), [{ before: [err] }], 0), [err]);
    const said = encodeOk({ status: AUTOCOMMIT | SESSION_STATE_CHANGED });
    const plain = encodeOk({ status: AUTOCOMMIT });
    assert.deepEqual(answered(tracking, {}, [{ before: [], ending: said }], 0), [plain]);
    assert.deepEqual(answered(PLAIN_FORM, useOther(), [{ before: [], ending: said }], 0), [plain]);
  });

  test('know the statements that change character sets and the database', () => {
    const names = (value: string, ...ends: string[]) =>
      ends.map((end) => ({ name: `character_set_${end}`, value }));
    const all = ['client', 'results', 'connection'];
    assert.deepEqual(stateChangesOf(" set NAMES 'latin1' collate latin1_bin ; "), names('latin1', ...all));
    assert.deepEqual(stateChangesOf('SET NAMES UTF8'), names('utf8mb3', ...all));
    assert.deepEqual(stateChangesOf('set character set gbk'), names('gbk', 'client', 'results'));
    assert.deepEqual(stateChangesOf('use shop;'), [{ schema: 'shop' }]);
    for (const sql of ['SET NAMES DEFAULT', 'SET NAMES latin1, @x = 1', 'SELECT 1', 'use `a`; select 1'])
      assert.deepEqual(stateChangesOf(sql), [], sql);
  });
});
