import type { Node } from '@pgsql/types';
import { readAlter } from './mysql-alter.js';
import { readCreate, readDrop, readRename, readTruncate } from './mysql-ddl.js';
import { readDelete, readInsert, readUpdate } from './mysql-dml.js';
import { readExpression } from './mysql-expressions.js';
import { readTableName } from './mysql-from.js';
import { Tok } from './mysql-lexer.js';
import { readLoad } from './mysql-load.js';
import type { Reader } from './mysql-reader.js';
import { readQuery } from './mysql-select.js';
import { readSet, readTransaction } from './mysql-session.js';
import { beginsQuery } from './mysql-subquery.js';
import { makeNode, mysqlStatement, rangeNode, selectNode } from './mysql-tree.js';

/** One statement of any kind. */
export function readStatement(reader: Reader): Node {
  if (beginsQuery(reader)) return readQueryOrChange(reader);
  const { word } = reader.token;
  const read = STATEMENTS[word];
  if (read === undefined) throw reader.unexpected();
  return read(reader);
}

/** WITH may stand before UPDATE and DELETE too: the word behind its last sub-query tells. */
function readQueryOrChange(reader: Reader): Node {
  if (!reader.is('WITH')) return selectNode(readQuery(reader));
  let distance = 0;
  for (let open = 0; ; distance++) {
    const { kind, word } = reader.peek(distance);
    if (kind === Tok.end) break;
    if (reader.isSymbol('(', distance)) open++;
    if (reader.isSymbol(')', distance)) open--;
    if (open > 0 || distance === 0) continue;
    if (word === 'UPDATE') return readUpdate(reader);
    if (word === 'DELETE') return readDelete(reader);
    if (word === 'SELECT' || word === 'VALUES' || word === 'TABLE') break;
  }
  return selectNode(readQuery(reader));
}

const STATEMENTS: Readonly<Record<string, (reader: Reader) => Node>> = {
  INSERT: readInsert,
  REPLACE: readInsert,
  UPDATE: readUpdate,
  DELETE: readDelete,
  CREATE: readCreate,
  ALTER: readAlter,
  DROP: readDrop,
  TRUNCATE: readTruncate,
  RENAME: readRename,
  SET: readSet,
  BEGIN: readBegin,
  START: readStart,
  COMMIT: readTransaction,
  ROLLBACK: readTransaction,
  SAVEPOINT: readTransaction,
  RELEASE: readTransaction,
  XA: (reader) => skipped(reader, (action) => mysqlStatement('XaStmt', { action }), 2),
  USE: readUse,
  SHOW: readShow,
  EXPLAIN: readExplain,
  DESCRIBE: readExplain,
  DESC: readExplain,
  KILL: readKill,
  CALL: readCall,
  DO: readDo,
  HANDLER: readHandler,
  LOAD: (reader) =>
    reader.isSequence('LOAD', 'DATA') || reader.isSequence('LOAD', 'XML') ? readLoad(reader) : server(reader),
  LOCK: readLockTables,
  UNLOCK: readUnlock,
  PREPARE: readPrepare,
  EXECUTE: (reader) => named(reader, 'ExecuteStmt'),
  DEALLOCATE: readDeallocate,
  ANALYZE: readMaintenance,
  CHECK: readMaintenance,
  CHECKSUM: readMaintenance,
  OPTIMIZE: readMaintenance,
  REPAIR: readMaintenance,
  CACHE: readMaintenance,
  GRANT: readGrant,
  REVOKE: readGrant,
  IF: compound,
  CASE: compound,
  LOOP: compound,
  WHILE: compound,
  REPEAT: compound,
  FOR: compound,
  SIGNAL: compound,
  RESIGNAL: compound,
  GET: compound,
  ...Object.fromEntries(
    [
      'FLUSH',
      'RESET',
      'PURGE',
      'CHANGE',
      'INSTALL',
      'UNINSTALL',
      'SHUTDOWN',
      'STOP',
      'BACKUP',
      'BINLOG',
      'HELP',
      'CLONE',
      'RESTART',
    ].map((word) => [word, server]),
  ),
};

/** Everything up to the end is skipped; `words`: how many of the first are the action. */
function skipped(reader: Reader, make: (action: string) => Node, words = 1): Node {
  const taken: string[] = [];
  while (taken.length < words && reader.token.kind === Tok.word) taken.push(reader.next().word);
  reader.skipAll();
  return make(taken.join(' '));
}

function server(reader: Reader): Node {
  return skipped(reader, (action) => mysqlStatement('ServerStmt', { action }), 2);
}

function compound(reader: Reader): Node {
  const { word: action } = reader.token;
  reader.skipAll(true);
  return mysqlStatement('CompoundStmt', { action });
}

function readBegin(reader: Reader): Node {
  if (reader.peek(1).word === 'NOT') return compound(reader);
  return readTransaction(reader);
}

function readStart(reader: Reader): Node {
  return reader.peek(1).word === 'TRANSACTION' ? readTransaction(reader) : server(reader);
}

function readUse(reader: Reader): Node {
  reader.expect('USE');
  return mysqlStatement('UseStmt', { name: reader.name() });
}

/** SHOW words … [FROM table]; what follows is skipped. */
function readShow(reader: Reader): Node {
  reader.expect('SHOW');
  const words: string[] = [];
  while (
    reader.token.kind === Tok.word &&
    !reader.is('FROM', 'IN', 'LIKE', 'WHERE', 'FOR', 'LIMIT') &&
    words.length < 4
  ) {
    const { word } = reader.next();
    words.push(word.toLowerCase());
    if (words[0] === 'create' && words.length > 1 && !reader.is('TABLE', 'DATABASE', 'SCHEMA', 'IF')) break;
  }
  const what = words.join(' ');
  const isOfTable =
    /^create (table|view|sequence)$|^(full |extended )*(columns|fields)$|^(index|indexes|keys)$/.test(what);
  const isNamed = words[0] === 'create' ? reader.isName() : reader.accept('FROM') || reader.accept('IN');
  const relation = isOfTable && isNamed ? readTableName(reader) : undefined;
  reader.skipAll();
  return mysqlStatement('ShowStmt', relation === undefined ? { what } : { what, relation });
}

/** EXPLAIN [options] statement, or DESCRIBE table. ANALYZE statement is below. */
function readExplain(reader: Reader): Node {
  reader.next();
  const options: Node[] = [];
  for (;;) {
    if (reader.is('EXTENDED', 'PARTITIONS')) options.push(optionNode(reader.next().word));
    else if (reader.is('ANALYZE')) options.push(optionNode(reader.next().word));
    else if (reader.is('FORMAT') && reader.isSymbol('=', 1)) {
      reader.next();
      reader.next();
      reader.next();
    } else break;
  }
  if (reader.is('FOR') || reader.is('CONNECTION'))
    return skipped(reader, () => mysqlStatement('ShowStmt', { what: 'explain' }));
  const isStatement = beginsQuery(reader) || reader.is('INSERT', 'REPLACE', 'UPDATE', 'DELETE');
  if (isStatement) return makeNode('ExplainStmt', { query: readStatement(reader), options });
  const relation = readTableName(reader);
  reader.skipAll();
  return mysqlStatement('ShowStmt', { what: 'columns', relation });
}

function optionNode(word: string): Node {
  return { DefElem: { defname: word.toLowerCase() } };
}

function readKill(reader: Reader): Node {
  reader.expect('KILL');
  if (!reader.accept('HARD')) reader.accept('SOFT');
  const type = reader.accept('QUERY') ? 'query' : 'connection';
  reader.accept('CONNECTION');
  if (reader.is('ID', 'USER'))
    return skipped(reader, () => mysqlStatement('KillStmt', { type, id: undefined }));
  return mysqlStatement('KillStmt', { type, id: readExpression(reader) });
}

function readCall(reader: Reader): Node {
  reader.expect('CALL');
  const { schemaname, relname } = readTableName(reader);
  reader.skipAll();
  const names = [...(schemaname === undefined ? [] : [schemaname]), relname ?? ''];
  return makeNode('CallStmt', { funccall: { funcname: names.map((name) => ({ String: { sval: name } })) } });
}

function readDo(reader: Reader): Node {
  reader.expect('DO');
  return mysqlStatement('DoExprStmt', { args: reader.list(() => readExpression(reader)) });
}

function readHandler(reader: Reader): Node {
  reader.expect('HANDLER');
  const relation = readTableName(reader);
  const action = reader.token.word;
  reader.skipAll();
  return mysqlStatement('HandlerStmt', { action, relation });
}

function readLockTables(reader: Reader): Node {
  reader.expect('LOCK');
  if (!reader.accept('TABLES')) reader.expect('TABLE');
  const relations = reader.list(() => {
    const relation = readTableName(reader);
    while (!reader.isEnd && !reader.isSymbol(',')) reader.next();
    return rangeNode(relation);
  });
  return mysqlStatement('LockTablesStmt', { relations });
}

function readUnlock(reader: Reader): Node {
  reader.expect('UNLOCK');
  if (!reader.accept('TABLES')) reader.expect('TABLE');
  return mysqlStatement('UnlockTablesStmt', {});
}

/** PREPARE name FROM …, whose text may be anywhere. */
function readPrepare(reader: Reader): Node {
  reader.expect('PREPARE');
  const name = reader.name();
  reader.expect('FROM');
  reader.skipAll();
  return makeNode('PrepareStmt', { name });
}

function readDeallocate(reader: Reader): Node {
  reader.expect('DEALLOCATE');
  reader.expect('PREPARE');
  return makeNode('DeallocateStmt', { name: reader.name() });
}

function named(reader: Reader, kind: string): Node {
  reader.next();
  if (reader.is('IMMEDIATE')) return skipped(reader, () => makeNode(kind, {}));
  const name = reader.name();
  reader.skipAll();
  return makeNode(kind, { name });
}

/** ANALYZE TABLE t, … and the like; ANALYZE before a statement runs it. */
function readMaintenance(reader: Reader): Node {
  const action = reader.next().word;
  if (action === 'ANALYZE') {
    if (reader.is('FORMAT') && reader.isSymbol('=', 1)) for (let count = 0; count < 3; count++) reader.next();
    const isStatement =
      (beginsQuery(reader) && !reader.is('TABLE')) || reader.is('INSERT', 'REPLACE', 'UPDATE', 'DELETE');
    if (isStatement)
      return makeNode('ExplainStmt', { query: readStatement(reader), options: [optionNode('ANALYZE')] });
  }
  if (reader.is('NO_WRITE_TO_BINLOG', 'LOCAL')) reader.next();
  const isIndex = action === 'CACHE' && reader.accept('INDEX');
  if (!isIndex && !reader.accept('TABLES') && !reader.accept('VIEW')) reader.expect('TABLE');
  const relations: Node[] = [];
  do {
    relations.push(rangeNode(readTableName(reader)));
    if (isIndex) while (!reader.isEnd && !reader.isSymbol(',')) reader.next();
  } while (reader.acceptSymbol(','));
  reader.skipAll();
  return mysqlStatement('TableMaintenanceStmt', { action, relations });
}

/** Privileges: on which tables is not asked, since every server has the same users or none. */
function readGrant(reader: Reader): Node {
  const is_grant = reader.next().word === 'GRANT';
  reader.skipAll();
  return makeNode('GrantStmt', { is_grant, targtype: 'ACL_TARGET_DEFAULTS', objtype: 'OBJECT_TABLE' });
}
