/** Stands for every name. */
export const ALL = Symbol('all');

/** Which prepared statement DEALLOCATE means; undefined when the text is nothing of the kind. */
export function deallocatedName(sql: string): string | typeof ALL | undefined {
  const word = /^\s*deallocate\s+(?:prepare\s+)?("(?:[^"]|"")+"|[\w$]+)\s*;?\s*$/i.exec(sql)?.[1];
  if (word === undefined) return undefined;
  if (word.toLowerCase() === 'all') return ALL;
  return word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word.toLowerCase();
}
