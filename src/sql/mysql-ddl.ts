import type { Node, RangeVar } from '@pgsql/types';
import { readTableName } from './mysql-from.js';
import { Tok } from './mysql-lexer.js';
import type { Reader } from './mysql-reader.js';
import { readQuery } from './mysql-select.js';
import { beginsQuery } from './mysql-subquery.js';
import { type Fields, listNode, makeNode, rangeNode, selectNode, stringNode } from './mysql-tree.js';

/*
 * DDL goes to the servers as the client wrote it. Read here is what routing asks: which kind of object, which tables, and what
 * happens to columns. What stands in between is skipped, so a mistake in it is the server's to find.
 */

/** CREATE … */
export function readCreate(reader: Reader): Node {
  reader.expect('CREATE');
  const replace = reader.accept('OR', 'REPLACE');
  if (reader.accept('TEMPORARY')) return readCreateTable(reader, 't');
  if (reader.is('TABLE')) return readCreateTable(reader, 'p');
  if (reader.is('ONLINE', 'OFFLINE')) reader.next();
  while (reader.is('UNIQUE', 'FULLTEXT', 'SPATIAL')) reader.next();
  if (reader.is('INDEX')) return readCreateIndex(reader);
  skipDefiner(reader);
  const { word } = reader.next();
  switch (word) {
    case 'VIEW':
      return readView(reader, replace);
    case 'DATABASE':
    case 'SCHEMA':
      return ended(reader, makeNode('CreatedbStmt', { dbname: readNewName(reader).relname }));
    case 'TRIGGER':
      return readTrigger(reader);
    case 'SEQUENCE':
      return ended(reader, makeNode('CreateSeqStmt', { sequence: readNewName(reader) }));
    case 'USER':
    case 'ROLE':
      return ended(reader, makeNode('CreateRoleStmt', { stmt_type: `ROLESTMT_${word}` }));
    case 'AGGREGATE':
    case 'FUNCTION':
    case 'PROCEDURE':
    case 'EVENT':
    case 'PACKAGE':
      return ended(reader, makeNode('CreateFunctionStmt', { object: word.toLowerCase(), replace }));
    case 'SERVER':
    case 'TABLESPACE':
    case 'LOGFILE':
      return ended(reader, makeNode('ServerStmt', { action: `CREATE ${word}` }));
    default:
      throw reader.unexpected();
  }
}

/** ALGORITHM = …, DEFINER = …, SQL SECURITY … */
function skipDefiner(reader: Reader): void {
  while (reader.is('ALGORITHM', 'DEFINER', 'SQL')) {
    if (reader.accept('SQL', 'SECURITY')) {
      reader.next();
      continue;
    }
    reader.next();
    reader.expectSymbol('=');
    reader.next();
    if (reader.token.kind === Tok.variable) reader.next();
    if (reader.isSymbol('(') && reader.isSymbol(')', 1)) skipGroup(reader);
  }
}

/** Everything up to the end; of routines over the semicolons of their bodies. */
function ended(reader: Reader, node: Node): Node {
  reader.skipAll('CreateFunctionStmt' in node || 'CreateTrigStmt' in node);
  return node;
}

function readNewName(reader: Reader): RangeVar {
  reader.accept('IF', 'NOT', 'EXISTS');
  return readTableName(reader);
}

function readCreateTable(reader: Reader, relpersistence: 't' | 'p'): Node {
  if (relpersistence === 't' && reader.is('SEQUENCE')) {
    reader.next();
    return ended(reader, makeNode('CreateSeqStmt', { sequence: { ...readNewName(reader), relpersistence } }));
  }
  reader.expect('TABLE');
  const if_not_exists = reader.accept('IF', 'NOT', 'EXISTS');
  const relation = { ...readTableName(reader), relpersistence };
  const elements = readElements(reader);
  const query = readTableOptions(reader);
  if (query !== undefined)
    return makeNode('CreateTableAsStmt', {
      query,
      into: { rel: relation, onCommit: 'ONCOMMIT_NOOP', tableElts: elements },
      objtype: 'OBJECT_TABLE',
      if_not_exists,
    });
  return makeNode('CreateStmt', { relation, tableElts: elements, oncommit: 'ONCOMMIT_NOOP', if_not_exists });
}

/** The columns and keys in parentheses, or LIKE. */
function readElements(reader: Reader): Node[] {
  if (reader.accept('LIKE')) return [likeNode(readTableName(reader))];
  if (!reader.isSymbol('(') || beginsQuery(reader)) return [];
  reader.next();
  if (reader.accept('LIKE')) {
    const like = likeNode(readTableName(reader));
    reader.expectSymbol(')');
    return [like];
  }
  const elements = reader.list(() => readElement(reader));
  reader.expectSymbol(')');
  return elements;
}

function likeNode(relation: RangeVar): Node {
  return makeNode('TableLikeClause', { relation });
}

const CONSTRAINT_WORDS = new Set([
  'PRIMARY',
  'KEY',
  'INDEX',
  'UNIQUE',
  'FULLTEXT',
  'SPATIAL',
  'CONSTRAINT',
  'FOREIGN',
  'CHECK',
]);

function readElement(reader: Reader): Node {
  const isPeriod = reader.is('PERIOD') && reader.peek(1).word === 'FOR';
  if (isPeriod || (reader.token.kind === Tok.word && CONSTRAINT_WORDS.has(reader.token.word))) {
    const words: string[] = [];
    while (!reader.isEnd && !reader.isSymbol(',') && !reader.isSymbol(')')) {
      words.push(reader.token.word);
      skipOne(reader);
    }
    return makeNode('Constraint', { contype: words.includes('FOREIGN') ? 'CONSTR_FOREIGN' : 'CONSTR_NULL' });
  }
  const colname = reader.name();
  const type = reader.token.word.toLowerCase();
  skipElement(reader);
  return makeNode('ColumnDef', { colname, typeName: { names: [stringNode(type)], typemod: -1 } });
}

/** Up to the comma or parenthesis that ends it. */
function skipElement(reader: Reader): void {
  while (!reader.isEnd && !reader.isSymbol(',') && !reader.isSymbol(')')) skipOne(reader);
}

/** A token, or everything in a parenthesis. */
function skipOne(reader: Reader): void {
  if (reader.isSymbol('(')) skipGroup(reader);
  else reader.next();
}

function skipGroup(reader: Reader): void {
  let open = 0;
  do {
    if (reader.isEnd) throw reader.unexpected();
    if (reader.isSymbol('(')) open++;
    if (reader.isSymbol(')')) open--;
    reader.next();
  } while (open > 0);
}

/** Skips a table's options; gives the query that fills it. */
function readTableOptions(reader: Reader): Node | undefined {
  while (!reader.isEnd) {
    // WITH SYSTEM VERSIONING is an option.
    if (beginsQuery(reader) && !reader.isSequence('WITH', 'SYSTEM') && !reader.isSequence('WITH', 'PARSER'))
      return selectNode(readQuery(reader));
    skipOne(reader);
  }
  return undefined;
}

function readCreateIndex(reader: Reader): Node {
  reader.expect('INDEX');
  reader.accept('IF', 'NOT', 'EXISTS');
  const idxname = reader.name();
  if (reader.accept('USING')) reader.next();
  reader.expect('ON');
  const relation = readTableName(reader);
  return ended(reader, makeNode('IndexStmt', { idxname, relation }));
}

function readView(reader: Reader, replace: boolean): Node {
  const view = readNewName(reader);
  const aliases = reader.isSymbol('(')
    ? reader.parenthesised(() => reader.list(() => stringNode(reader.name())))
    : undefined;
  reader.expect('AS');
  const query = selectNode(readQuery(reader));
  return ended(reader, makeNode('ViewStmt', { view, aliases, query, replace }));
}

function readTrigger(reader: Reader): Node {
  const { relname } = readNewName(reader);
  while (!reader.isEnd && !reader.is('ON')) reader.next();
  reader.expect('ON');
  const relation = readTableName(reader);
  return ended(reader, makeNode('CreateTrigStmt', { trigname: relname, relation }));
}

const DROPPED: Readonly<Record<string, string>> = {
  TABLE: 'OBJECT_TABLE',
  TABLES: 'OBJECT_TABLE',
  VIEW: 'OBJECT_VIEW',
  SEQUENCE: 'OBJECT_SEQUENCE',
  FUNCTION: 'OBJECT_FUNCTION',
  PROCEDURE: 'OBJECT_PROCEDURE',
  PACKAGE: 'OBJECT_ROUTINE',
  EVENT: 'OBJECT_ROUTINE',
};

/** DROP … */
export function readDrop(reader: Reader): Node {
  reader.expect('DROP');
  if (reader.is('INDEX')) return readDropIndex(reader);
  const isTemporary = reader.accept('TEMPORARY');
  const { word } = reader.next();
  const missing_ok = reader.accept('IF', 'EXISTS');
  if (word === 'PREPARE') return makeNode('DeallocateStmt', { name: reader.name() });
  if (word === 'DATABASE' || word === 'SCHEMA')
    return makeNode('DropdbStmt', { dbname: reader.name(), missing_ok });
  if (word === 'USER' || word === 'ROLE') return ended(reader, makeNode('DropRoleStmt', { missing_ok }));
  if (word === 'SERVER') return ended(reader, makeNode('ServerStmt', { action: 'DROP SERVER' }));
  if (word === 'TRIGGER')
    return ended(reader, makeNode('DropTriggerStmt', { trigger: readTableName(reader), missing_ok }));
  const removeType = DROPPED[word];
  if (removeType === undefined) throw reader.unexpected();
  if (word === 'PACKAGE') reader.accept('BODY');
  const objects = reader.list(() => namesList(readTableName(reader)));
  return ended(reader, makeNode('DropStmt', { objects, removeType, missing_ok, isTemporary }));
}

function namesList(range: RangeVar): Node {
  const { schemaname, relname } = range;
  return listNode([...(schemaname === undefined ? [] : [schemaname]), relname ?? ''].map(stringNode));
}

/** DROP INDEX i ON t is a change of t. */
function readDropIndex(reader: Reader): Node {
  reader.expect('INDEX');
  reader.accept('IF', 'EXISTS');
  const name = reader.accept('PRIMARY') ? 'PRIMARY' : reader.name();
  reader.expect('ON');
  const relation = readTableName(reader);
  const cmds = [makeNode('AlterTableCmd', { subtype: 'AT_DropIndex', name })];
  return ended(reader, makeNode('AlterTableStmt', { relation, cmds, objtype: 'OBJECT_TABLE' }));
}

export function readTruncate(reader: Reader): Node {
  reader.expect('TRUNCATE');
  reader.accept('TABLE');
  const relations = [rangeNode(readTableName(reader))];
  return ended(reader, makeNode('TruncateStmt', { relations, behavior: 'DROP_RESTRICT' }));
}

/** RENAME TABLE a TO b [, …] as one RenameStmt a table; several give a list that only the whole can answer for. */
export function readRename(reader: Reader): Node {
  reader.expect('RENAME');
  if (reader.accept('USER')) return ended(reader, makeNode('AlterRoleStmt', {}));
  if (!reader.accept('TABLES')) reader.expect('TABLE');
  const missing_ok = reader.accept('IF', 'EXISTS');
  const renames = reader.list(() => {
    const relation = readTableName(reader);
    if (reader.is('WAIT', 'NOWAIT') && reader.next().word === 'WAIT') reader.next();
    reader.expect('TO');
    const { relname, schemaname } = readTableName(reader);
    return {
      renameType: 'OBJECT_TABLE',
      relation,
      newname: relname,
      newschema: schemaname,
      missing_ok,
    } as Fields;
  });
  if (renames.length > 1) throw reader.unexpected();
  return makeNode('RenameStmt', renames[0]!);
}
