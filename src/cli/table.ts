import type { Answer, Cell } from './control-client.js';

/** Rows under their column names, aligned; numbers to the right. Ends with a line break. */
export function formatTable({ columns, rows }: Pick<Answer, 'columns' | 'rows'>): string {
  if (columns.length === 0) return '';
  const cells = rows.map((row) => columns.map((column) => showCell(row[column] ?? null)));
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...cells.map((row) => row[index]!.length)),
  );
  const isNumber = columns.map(
    (column) =>
      rows.length > 0 && rows.every((row) => typeof row[column] === 'number' || row[column] === null),
  );
  const line = (texts: readonly string[]) =>
    texts
      .map((text, index) => (isNumber[index] ? text.padStart(widths[index]!) : text.padEnd(widths[index]!)))
      .join('  ')
      .trimEnd();
  const count = rows.length === 1 ? '(1 row)' : `(${rows.length} rows)`;
  return `${[line(columns), widths.map((width) => '─'.repeat(width)).join('──'), ...cells.map(line), count].join('\n')}\n`;
}

function showCell(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no';
  return String(cell).replaceAll('\n', ' ');
}
