import type { Node } from '@pgsql/types';
import { readExpression } from './mysql-expressions.js';
import { Tok } from './mysql-lexer.js';
import { nameOf, type Reader } from './mysql-reader.js';
import { makeNode, mysqlStatement, type SetAssignment, stringNode } from './mysql-tree.js';

/** BEGIN, START TRANSACTION, COMMIT, ROLLBACK, SAVEPOINT, RELEASE SAVEPOINT, as TransactionStmt. */
export function readTransaction(reader: Reader): Node {
  const { word } = reader.next();
  switch (word) {
    case 'BEGIN':
      reader.accept('WORK');
      return transaction('TRANS_STMT_BEGIN');
    case 'START':
      reader.expect('TRANSACTION');
      return transaction('TRANS_STMT_START', { options: readStartOptions(reader) });
    case 'COMMIT':
      return transaction('TRANS_STMT_COMMIT', readEnding(reader));
    case 'ROLLBACK': {
      reader.accept('WORK');
      if (!reader.accept('TO')) return transaction('TRANS_STMT_ROLLBACK', readEnding(reader));
      reader.accept('SAVEPOINT');
      return transaction('TRANS_STMT_ROLLBACK_TO', { savepoint_name: reader.name() });
    }
    case 'SAVEPOINT':
      return transaction('TRANS_STMT_SAVEPOINT', { savepoint_name: reader.name() });
    default:
      reader.expect('SAVEPOINT');
      return transaction('TRANS_STMT_RELEASE', { savepoint_name: reader.name() });
  }
}

function transaction(kind: string, fields: Record<string, unknown> = {}): Node {
  return makeNode('TransactionStmt', { kind, ...fields });
}

/** `consistent snapshot`, `read only`, `read write` as DefElems. */
function readStartOptions(reader: Reader): Node[] {
  const options: Node[] = [];
  while (!reader.isEnd) {
    if (reader.accept('WITH', 'CONSISTENT', 'SNAPSHOT'))
      options.push(optionNode('consistent_snapshot', true));
    else if (reader.accept('READ', 'ONLY')) options.push(optionNode('transaction_read_only', true));
    else if (reader.accept('READ', 'WRITE')) options.push(optionNode('transaction_read_only', false));
    else throw reader.unexpected();
    if (!reader.acceptSymbol(',')) break;
  }
  return options;
}

function optionNode(name: string, value: boolean): Node {
  return { DefElem: { defname: name, arg: { A_Const: { boolval: { boolval: value } } } } };
}

/** [WORK] [AND [NO] CHAIN] [[NO] RELEASE] */
function readEnding(reader: Reader): Record<string, unknown> {
  reader.accept('WORK');
  const chain = reader.accept('AND', 'CHAIN');
  if (!chain) reader.accept('AND', 'NO', 'CHAIN');
  const release = reader.accept('RELEASE');
  if (!release) reader.accept('NO', 'RELEASE');
  return { chain, release };
}

/** SET of variables, and the forms that only look like it. */
export function readSet(reader: Reader): Node {
  reader.expect('SET');
  if (reader.is('STATEMENT')) {
    // SET STATEMENT a = b FOR …: the statement behind it is not looked into.
    while (!reader.isEnd) reader.next();
    return mysqlStatement('CompoundStmt', { action: 'SET STATEMENT' });
  }
  return mysqlStatement('SetStmt', { assignments: reader.list(() => readAssignment(reader)) });
}

function readAssignment(reader: Reader): SetAssignment {
  const special = readSpecial(reader);
  if (special !== undefined) return special;
  const { kind, start } = reader.token;
  if (kind === Tok.variable) {
    const name = variableName(reader.next().source);
    expectEquals(reader);
    const from = reader.token.start;
    const value = readExpression(reader);
    return { scope: 'user', name, value, text: reader.textFrom(from), isBare: false };
  }
  const isAtAt = reader.acceptSymbol('@@');
  const scopeWord = reader.is('GLOBAL', 'SESSION', 'LOCAL', 'PERSIST', 'PERSIST_ONLY')
    ? reader.token.word
    : undefined;
  const hasScope = scopeWord !== undefined && (isAtAt ? reader.isSymbol('.', 1) : !reader.isSymbol('=', 1));
  if (hasScope) {
    reader.next();
    if (isAtAt) reader.expectSymbol('.');
  }
  if (hasScope && reader.is('TRANSACTION'))
    return readTransactionTrait(reader, scopeWord !== 'GLOBAL' ? 'session' : 'global');
  const names = [reader.anyName()];
  while (reader.acceptSymbol('.')) names.push(reader.anyName());
  expectEquals(reader);
  const from = reader.token.start;
  const value = readSettingValue(reader);
  const isGlobal = hasScope && scopeWord !== 'SESSION' && scopeWord !== 'LOCAL';
  void start;
  return {
    scope: isGlobal ? 'global' : 'session',
    name: names.join('.').toLowerCase(),
    value,
    text: reader.textFrom(from),
    isBare: isAtAt && !hasScope,
  };
}

function variableName(source: string): string {
  const quote = source[1]!;
  return /['"`]/.test(quote) ? source.slice(2, -1).replaceAll(quote + quote, quote) : source.slice(1);
}

function expectEquals(reader: Reader): void {
  if (!reader.acceptSymbol('=')) reader.expectSymbol(':=');
}

/** An expression; ON, ALL, BINARY and the like are texts; undefined for DEFAULT. */
function readSettingValue(reader: Reader): Node | undefined {
  if (reader.accept('DEFAULT')) return undefined;
  if (reader.is('ON', 'ALL', 'BINARY', 'ROW', 'SYSTEM')) {
    const { start, source } = reader.next();
    return makeNode('A_Const', { sval: { sval: source }, location: reader.byteOffset(start) });
  }
  return readExpression(reader);
}

/** NAMES, CHARACTER SET, TRANSACTION, PASSWORD, ROLE, DEFAULT ROLE; undefined for variables. */
function readSpecial(reader: Reader): SetAssignment | undefined {
  const isVariable = reader.isSymbol('=', 1) || reader.isSymbol(':=', 1) || reader.isSymbol('.', 1);
  if (reader.is('NAMES') && !isVariable) {
    reader.next();
    return special(reader, 'names', () => {
      if (!reader.accept('DEFAULT')) readCharset(reader);
      if (reader.accept('COLLATE') && !reader.accept('DEFAULT')) readCharset(reader);
    });
  }
  if (reader.accept('CHARACTER', 'SET') || (!isVariable && reader.accept('CHARSET')))
    return special(reader, 'character set', () => {
      if (!reader.accept('DEFAULT')) readCharset(reader);
    });
  if (reader.is('TRANSACTION') && !isVariable) return readTransactionTrait(reader, 'special');
  if (reader.is('PASSWORD')) {
    reader.next();
    return special(reader, 'password', () => skip(reader));
  }
  if (reader.is('ROLE') && !isVariable) {
    reader.next();
    return special(reader, 'role', () => skip(reader));
  }
  if (reader.accept('DEFAULT', 'ROLE')) return special(reader, 'default role', () => skip(reader));
  return undefined;
}

function special(reader: Reader, name: string, read: () => void): SetAssignment {
  const { start } = reader.token;
  read();
  return { scope: 'special', name, value: undefined, text: reader.textFrom(start), isBare: false };
}

function skip(reader: Reader): void {
  while (!reader.isEnd) reader.next();
}

function readCharset(reader: Reader): string {
  if (reader.token.kind === Tok.string) return reader.next().source;
  return reader.is('BINARY') ? reader.next().source : nameOf(reader.next());
}

/** SET [scope] TRANSACTION …: `special` is for the next transaction only. */
function readTransactionTrait(reader: Reader, scope: SetAssignment['scope']): SetAssignment {
  reader.expect('TRANSACTION');
  const { start } = reader.token;
  const traits = reader.list(() => {
    if (reader.accept('ISOLATION', 'LEVEL')) {
      const levels = [
        ['REPEATABLE', 'READ'],
        ['READ', 'COMMITTED'],
        ['READ', 'UNCOMMITTED'],
        ['SERIALIZABLE'],
      ];
      if (!levels.some((level) => reader.accept(...level))) throw reader.unexpected();
    } else if (!reader.accept('READ', 'ONLY')) reader.expect('READ', 'WRITE');
    return stringNode('trait');
  });
  // The list goes on only with traits: SET TRANSACTION cannot stand beside other assignments.
  if (traits.length === 0 || !reader.isEnd) throw reader.unexpected();
  return {
    scope,
    name: 'transaction',
    value: undefined,
    text: reader.textFrom(start),
    isBare: scope === 'special',
  };
}
