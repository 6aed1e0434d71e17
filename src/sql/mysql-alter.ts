import type { Node } from '@pgsql/types';
import { readTableName } from './mysql-from.js';
import type { Reader } from './mysql-reader.js';
import { makeNode } from './mysql-tree.js';

/** ALTER …; of ALTER TABLE each action that drops, changes or renames something by name. */
export function readAlter(reader: Reader): Node {
  reader.expect('ALTER');
  reader.accept('ONLINE');
  const isIgnore = reader.accept('IGNORE');
  if (reader.is('TABLE')) return readAlterTable(reader);
  if (isIgnore) throw reader.unexpected();
  while (reader.is('ALGORITHM', 'DEFINER', 'SQL')) {
    while (!reader.isEnd && !reader.is('VIEW', 'EVENT', 'FUNCTION', 'PROCEDURE')) reader.next();
  }
  const { word } = reader.next();
  switch (word) {
    case 'DATABASE':
    case 'SCHEMA':
      return ended(reader, makeNode('AlterDatabaseStmt', {}));
    case 'VIEW':
      return ended(reader, makeNode('ViewStmt', { view: readTableName(reader), replace: true }));
    case 'SEQUENCE':
      reader.accept('IF', 'EXISTS');
      return ended(reader, makeNode('AlterSeqStmt', { sequence: readTableName(reader) }));
    case 'USER':
    case 'ROLE':
      return ended(reader, makeNode('AlterRoleStmt', {}));
    case 'FUNCTION':
    case 'PROCEDURE':
    case 'EVENT':
      return ended(reader, makeNode('AlterFunctionStmt', { object: word.toLowerCase() }));
    case 'SERVER':
    case 'TABLESPACE':
      return ended(reader, makeNode('ServerStmt', { action: `ALTER ${word}` }));
    default:
      throw reader.unexpected();
  }
}

function ended(reader: Reader, node: Node): Node {
  reader.skipAll();
  return node;
}

interface Action {
  readonly subtype: string;
  readonly name?: string | undefined;
  readonly newname?: string | undefined;
}

function readAlterTable(reader: Reader): Node {
  reader.expect('TABLE');
  const missing_ok = reader.accept('IF', 'EXISTS');
  const relation = readTableName(reader);
  if (reader.accept('WAIT')) reader.next();
  else reader.accept('NOWAIT');
  const actions: Action[] = [];
  while (!reader.isEnd) {
    actions.push(readAction(reader));
    skipElement(reader);
    if (!reader.acceptSymbol(',') && !reader.isEnd) throw reader.unexpected();
  }
  const rename = actions.find(({ subtype }) => subtype === 'AT_RenameTable');
  // Whatever else is done: the table's name is what routing knows it by.
  if (rename !== undefined)
    return makeNode('RenameStmt', {
      renameType: 'OBJECT_TABLE',
      relation,
      newname: rename.newname,
      missing_ok,
    });
  const [only] = actions;
  if (actions.length === 1 && only!.newname !== undefined && only!.newname !== only!.name)
    return makeNode('RenameStmt', {
      renameType: 'OBJECT_COLUMN',
      relationType: 'OBJECT_TABLE',
      relation,
      subname: only!.name,
      newname: only!.newname,
      missing_ok,
    });
  const cmds = actions.map(({ subtype, name }) => makeNode('AlterTableCmd', { subtype, name }));
  return makeNode('AlterTableStmt', { relation, cmds, objtype: 'OBJECT_TABLE', missing_ok });
}

const NOT_COLUMNS: Readonly<Record<string, string>> = {
  INDEX: 'AT_DropIndex',
  KEY: 'AT_DropIndex',
  PRIMARY: 'AT_DropConstraint',
  FOREIGN: 'AT_DropConstraint',
  CONSTRAINT: 'AT_DropConstraint',
  CHECK: 'AT_DropConstraint',
  PARTITION: 'AT_DropPartition',
  PERIOD: 'AT_DropConstraint',
  SYSTEM: 'AT_DropConstraint',
};

function readAction(reader: Reader): Action {
  if (reader.accept('DROP')) {
    const other = NOT_COLUMNS[reader.token.word];
    if (
      other !== undefined &&
      !(reader.is('PERIOD', 'SYSTEM') && !['FOR', 'VERSIONING'].includes(reader.peek(1).word))
    )
      return { subtype: other };
    reader.accept('COLUMN');
    reader.accept('IF', 'EXISTS');
    return { subtype: 'AT_DropColumn', name: reader.name() };
  }
  if (reader.accept('MODIFY')) {
    reader.accept('COLUMN');
    reader.accept('IF', 'EXISTS');
    return { subtype: 'AT_AlterColumnType', name: reader.name() };
  }
  if (reader.accept('CHANGE')) {
    reader.accept('COLUMN');
    reader.accept('IF', 'EXISTS');
    const name = reader.name();
    return { subtype: 'AT_AlterColumnType', name, newname: reader.name() };
  }
  if (reader.accept('RENAME')) return readRenaming(reader);
  if (reader.accept('CONVERT', 'TO')) return { subtype: 'AT_ConvertCharset' };
  if (reader.is('EXCHANGE', 'DISCARD', 'IMPORT')) return { subtype: 'AT_ExchangePartition' };
  return { subtype: reader.is('ADD') ? 'AT_Add' : 'AT_SetOptions' };
}

function readRenaming(reader: Reader): Action {
  if (reader.accept('COLUMN')) {
    reader.accept('IF', 'EXISTS');
    const name = reader.name();
    reader.expect('TO');
    return { subtype: 'AT_AlterColumnType', name, newname: reader.name() };
  }
  if (reader.is('INDEX', 'KEY')) return { subtype: 'AT_RenameIndex' };
  if (!reader.accept('TO') && !reader.accept('AS')) reader.acceptSymbol('=');
  return { subtype: 'AT_RenameTable', newname: readTableName(reader).relname };
}

function skipElement(reader: Reader): void {
  let open = 0;
  while (!reader.isEnd && (open > 0 || !reader.isSymbol(','))) {
    if (reader.isSymbol('(')) open++;
    if (reader.isSymbol(')')) open--;
    reader.next();
  }
}
