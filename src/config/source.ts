import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  Scalar,
  visit,
} from 'yaml';
import type { Mistake } from './mistakes.js';

export type Path = readonly (string | number)[];

export function formatPath(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
}

/** A configuration file's text with positions: parses YAML, expands `${ENV}`, and finds the line of any path. */
export class ConfigSource {
  readonly mistakes: Mistake[] = [];
  /** False when the text is no YAML: then there is no value to look at. */
  readonly isReadable: boolean;
  readonly #lines = new LineCounter();
  readonly #document: ReturnType<typeof parseDocument>;
  /** Unquoted scalars that a variable filled: they may turn out to be numbers or booleans. */
  readonly #filled = new Set<Scalar>();

  constructor(text: string, env: Readonly<Record<string, string | undefined>>) {
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true });
    // What follows the first one is mostly its consequence.
    const [error] = this.#document.errors;
    if (error !== undefined) this.#reportSyntax(error.message, error.pos[0], text);
    this.isReadable = this.mistakes.length === 0;
    if (this.isReadable) this.#expand(env);
  }

  /** The file as plain values. */
  value(): unknown {
    return this.#document.toJS({ maxAliasCount: 100 }) ?? {};
  }

  /** `at: 'key'` is where the key is written, `'value'` where its value is. A path that is not there gives its parent's place. */
  report(path: Path, message: string, remedy?: string, at: 'key' | 'value' = 'value'): void {
    const { line, column } = this.place(path, at);
    // A variable that is not set is told already; what follows from it would only confuse.
    if (
      this.mistakes.some(
        (mistake) => mistake.path === '' && mistake.line === line && mistake.column === column,
      )
    )
      return;
    this.mistakes.push({ line, column, path: formatPath(path), message, remedy });
  }

  /** Reads an unquoted variable's text at `path` as a number or boolean, where one is wanted. True if it changed. */
  retype(path: Path): boolean {
    const found = this.#document.getIn(path, true);
    if (!isScalar(found) || !this.#filled.delete(found)) return false;
    const before = found.value;
    if (/^-?\d+$/.test(String(before))) found.value = Number(before);
    if (before === 'true' || before === 'false') found.value = before === 'true';
    return found.value !== before;
  }

  place(path: Path, at: 'key' | 'value'): { line: number; column: number } {
    let current: Node | null = this.#document.contents;
    let offset = current?.range?.[0] ?? 0;
    for (const [depth, part] of path.entries()) {
      if (isAlias(current)) current = current.resolve(this.#document) ?? null;
      const pair = isMap(current) ? pairOf(current.items as Pair<Node, Node | null>[], part) : undefined;
      const child = pair
        ? pair.value
        : isSeq(current)
          ? ((current.items[Number(part)] as Node | undefined) ?? null)
          : null;
      if (pair === undefined && child === null) break;
      const wantsKey = pair !== undefined && (child === null || (at === 'key' && depth === path.length - 1));
      offset = (wantsKey ? pair.key.range?.[0] : child?.range?.[0]) ?? offset;
      current = child;
    }
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  #reportSyntax(message: string, offset: number, text: string): void {
    const { line, col } = this.#lines.linePos(offset);
    const source = text.split('\n')[line - 1] ?? '';
    const isBareVariable = /[^"'\w]\$\{\w+\}/.test(source);
    const isTab = /^\s*\t/.test(source);
    const remedy = isBareVariable
      ? 'quotes around a variable inside { } or [ ], e.g. password: "${APP_PASSWORD}"'
      : isTab
        ? 'spaces instead of tabs'
        : undefined;
    const plain = message.startsWith('Map keys must be unique')
      ? 'this name is written twice at the same place'
      : message;
    this.mistakes.push({
      line: Math.max(1, line),
      column: Math.max(1, col),
      path: '',
      message: plain,
      remedy,
    });
  }

  /** Expands `${NAME}` and `${NAME:-default}` in values (not in keys or comments); `$${` stands for `${`. */
  #expand(env: Readonly<Record<string, string | undefined>>): void {
    visit(this.#document, {
      Scalar: (key, scalar) => {
        if (key === 'key' || typeof scalar.value !== 'string' || !scalar.value.includes('${')) return;
        scalar.value = this.#expandText(scalar.value, scalar.range?.[0] ?? 0, env);
        if (scalar.type === Scalar.PLAIN) this.#filled.add(scalar);
      },
    });
  }

  #expandText(text: string, offset: number, env: Readonly<Record<string, string | undefined>>): string {
    return text.replace(/\$\$\{|\$\{([^}]*)\}/g, (whole, inside: string | undefined) => {
      if (inside === undefined) return '${';
      const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/.exec(inside);
      const value = match === null ? undefined : env[match[1]!] || match[2];
      if (value !== undefined) return value;
      const { line, col } = this.#lines.linePos(offset);
      const message =
        match === null
          ? `${whole} is not a variable`
          : `the environment variable ${match[1]} is not set (or empty)`;
      const remedy =
        match === null
          ? '${NAME}, or $${ for a literal ${'
          : `export ${match[1]}=… before starting, or \${${match[1]}:-default}`;
      this.mistakes.push({ line, column: col, path: '', message, remedy });
      return whole;
    });
  }
}

function pairOf(
  items: readonly Pair<Node, Node | null>[],
  key: string | number,
): Pair<Node, Node | null> | undefined {
  return items.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(key));
}
