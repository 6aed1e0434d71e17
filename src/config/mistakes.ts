/** One mistake in a configuration file: where it is, what is wrong and what to write. Lines and columns count from 1. */
export interface Mistake {
  readonly line: number;
  readonly column: number;
  /** Where in the structure, e.g. `databases.shop.home`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
  readonly remedy: string | undefined;
}

/** Every mistake of a configuration file at once; its message lists them all. */
export class ConfigError extends Error {
  readonly file: string;
  readonly mistakes: readonly Mistake[];

  constructor(file: string, mistakes: readonly Mistake[]) {
    super(mistakes.map((mistake) => formatMistake(file, mistake)).join('\n'));
    this.name = 'ConfigError';
    this.file = file;
    this.mistakes = mistakes;
  }
}

/** `file:line:column: what is wrong` and, below it, what to write. */
export function formatMistake(file: string, mistake: Mistake): string {
  const where = `${file}:${mistake.line}:${mistake.column}`;
  const path = mistake.path === '' ? '' : `${mistake.path}: `;
  const remedy = mistake.remedy === undefined ? '' : `\n    write: ${mistake.remedy}`;
  return `${where}: ${path}${mistake.message}${remedy}`;
}

/** The word nearest to `wrong`, if it is near enough to be meant. */
export function didYouMean(wrong: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wrong.length / 3)) + 1;
  for (const word of words) {
    const distance = editDistance(wrong.toLowerCase(), word.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best;
}

/** Levenshtein distance where a swap of two neighbours counts once (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
