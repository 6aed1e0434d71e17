import type { ScenarioResult } from './results.js';
import { cellsOf, sentenceOf } from './table.js';

/** A scenario's result for a terminal. */
export function textOf({ name, title, outcome, reason, notes, comparisons }: ScenarioResult): string {
  const tables = comparisons.flatMap((comparison) => {
    const rows = cellsOf(comparison);
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
    const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  '));
    const verdicts = comparison.verdicts.map((verdict) => sentenceOf(verdict, comparison.peer));
    return [`  ${comparison.name}`, ...[...lines, ...verdicts].map((line) => `    ${line}`.trimEnd())];
  });
  const end = outcome === 'measured' ? [] : [`  ${outcome.toUpperCase()}: ${reason}`];
  return `${[`${name}: ${title}`, ...tables, ...notes.map((note) => `  ${note}`), ...end].join('\n')}\n`;
}
