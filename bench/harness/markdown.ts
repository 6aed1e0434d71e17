import type { Machine } from './machine.js';
import type { ComparisonResult, ScenarioResult } from './results.js';
import { cellsOf, sentenceOf } from './table.js';

/** What stands between a scenario's markers in docs/performance.md. */
export function markdownOf(result: ScenarioResult, machine: Machine, how: string): string {
  const { title, about, outcome, reason, notes, comparisons } = result;
  const lines = [
    `## ${title}`,
    '',
    about,
    '',
    ...(outcome === 'measured' ? [] : [`**${outcome === 'failed' ? 'Failed' : 'Skipped'}:** ${reason}`, '']),
    ...comparisons.flatMap(comparisonLines),
    ...notes.flatMap((note) => [note, '']),
    `Measured on ${machine.date}, ${how}. ${machine.cores} cores (${machine.model}), Linux ${machine.kernel}; ${machine.versions.join(', ')}.`,
  ];
  return lines.join('\n');
}

function comparisonLines(comparison: ComparisonResult): string[] {
  const [head, ...rows] = cellsOf(comparison);
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`;
  const name = comparison.name.charAt(0).toUpperCase() + comparison.name.slice(1);
  return [
    [
      `**${name}**`,
      roundsOf(comparison),
      ...(comparison.command === undefined ? [] : [`\`${comparison.command}\``]),
    ].join(', '),
    '',
    line(head!),
    `|${head!.map((_, column) => (column === 0 ? '---|' : '---:|')).join('')}`,
    ...rows.map(line),
    '',
    ...comparison.verdicts.flatMap((verdict) => [sentenceOf(verdict, comparison.peer), '']),
  ];
}

function roundsOf({ rounds }: ComparisonResult): string {
  return rounds === 1 ? '1 round' : `${rounds} rounds`;
}

function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** The document with this scenario's part replaced, or put at the end where it has none yet. */
export function withPart(document: string, name: string, part: string): string {
  const [begin, end] = [`<!-- bench ${name} -->`, `<!-- end of bench ${name} -->`];
  const block = `${begin}\n${part}\n${end}`;
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from === -1 || to < from) return `${document.trimEnd()}\n\n${block}\n`;
  return document.slice(0, from) + block + document.slice(to + end.length);
}
