import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Step } from '../../src/pool/request.js';
import { isRelayable, unitsOf } from '../../src/proxy/steps.js';

const frame = Buffer.alloc(0);
const parameters = { count: 0, typeOid: () => 0, format: () => 0, bytes: () => undefined };
const parse = (name: string): Step => ({
  type: 'parse',
  prepared: { name, sql: '', parameterTypes: [], id: 1 },
  frame,
});
const bind = (portal: string, statementName: string): Step => ({
  type: 'bind',
  portal,
  prepared: undefined,
  statementName,
  parameters,
  resultFormats: [],
  frame,
});
const describe = (portal: string): Step => ({ type: 'describe-portal', portal, frame });
const execute = (portal: string): Step => ({ type: 'execute', portal, maxRows: 0, frame });
const close = (portal: string): Step => ({ type: 'close-portal', portal, frame });

test('a request is cut behind each Execute', () => {
  const units = unitsOf([parse(''), bind('', ''), execute(''), bind('', ''), execute(''), close('')]);
  assert.deepEqual(
    units.map((unit) => unit.steps.map((step) => step.type)),
    [['parse', 'bind', 'execute'], ['bind', 'execute'], ['close-portal']],
  );
  assert.deepEqual(
    units.map((unit) => unit.execute !== undefined),
    [true, true, false],
  );
});

test('steps of one statement and one portal can go as they are', () => {
  const [unit] = unitsOf([parse('s'), bind('p', 's'), describe('p'), execute('p')]);
  assert.equal(isRelayable(unit!, false), true);
});

test('a step of another name keeps the unit here', () => {
  for (const stranger of [parse('other'), close('p'), describe('other'), bind('other', 's')]) {
    const [unit] = unitsOf([stranger, parse('s'), bind('p', 's'), execute('p')]);
    assert.equal(isRelayable(unit!, false), false, stranger.type);
  }
});

test('an Execute alone goes where its portal is', () => {
  const [unit] = unitsOf([execute('p')]);
  assert.equal(isRelayable(unit!, true), true);
  assert.equal(isRelayable(unit!, false), false);
});
