import type { ResultColumn } from '../pool/backend.js';
import { OWN_PREFIX } from './engine-names.js';
import { Reader, Writer } from './wire.js';

/** Strings of a column definition before the name that the client sees: catalog, schema, table, org_table. */
const STRINGS_BEFORE = 4;

/** The same column under another name, in the server's own description too. */
export function renamedColumn(column: ResultColumn, name: string): ResultColumn {
  const { definition } = column;
  if (definition === undefined) return { ...column, name };
  return { ...column, name, definition: withName(definition, column.name, name) };
}

function withName(definition: Buffer, old: string, name: string): Buffer {
  const reader = new Reader(definition, 'column definition');
  const writer = new Writer(definition.length + 2 * name.length);
  for (let field = 0; field < STRINGS_BEFORE; field++) writer.lenencBytes(reader.lenencBytes());
  reader.lenencBytes();
  // A column of a temporary table has its alias as its original name.
  const original = reader.lenencText();
  const isOurs = original === old && original.startsWith(OWN_PREFIX);
  return writer
    .lenencText(name)
    .lenencText(isOurs ? name : original)
    .bytes(reader.rest())
    .finish();
}
