/** A literal's value: `number` as written, `string` decoded, `bits` undecoded. */
export interface LiteralValue {
  readonly type: 'number' | 'string' | 'bits';
  readonly text: string;
}

/** Decodes a literal's source text (what the template lexer took out); undefined for what cannot be decoded for certain. */
export function decodeLiteral(source: string): LiteralValue | undefined {
  const first = source.charCodeAt(0);
  if ((first >= 48 && first <= 57) || first === 46)
    return { type: 'number', text: source.includes('_') ? source.replaceAll('_', '') : source };
  if (first === 39) return plainString(source);
  if (first === 36) return dollarString(source);
  if (first === 69 || first === 101) return escapeString(source);
  if (first === 66 || first === 98 || first === 88 || first === 120) return { type: 'bits', text: source };
  return undefined;
}

/** `'…'`, perhaps in several parts, which then are decoded one by one. */
function parts(source: string, hasEscapes: boolean): string[] | undefined {
  const pattern = hasEscapes ? /'((?:[^'\\]|''|\\[\s\S])*)'/y : /'((?:[^']|'')*)'/y;
  const gap = /(?:\s|--[^\n\r]*[\n\r])*/y;
  const result: string[] = [];
  let at = 0;
  while (at < source.length) {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (match === null) return undefined;
    result.push(match[1]!);
    gap.lastIndex = pattern.lastIndex;
    gap.exec(source);
    at = gap.lastIndex;
  }
  return result;
}

function plainString(source: string): LiteralValue | undefined {
  const all = parts(source, false);
  return all === undefined ? undefined : { type: 'string', text: all.join('').replaceAll("''", "'") };
}

function dollarString(source: string): LiteralValue | undefined {
  const open = source.indexOf('$', 1) + 1;
  return source.length < open * 2 ? undefined : { type: 'string', text: source.slice(open, -open) };
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** Manual section 4.1.2.2. Byte escapes above 127 are left to nobody's guess. */
function escapeString(source: string): LiteralValue | undefined {
  const all = parts(source.slice(1), true);
  if (all === undefined) return undefined;
  let isCertain = true;
  const text = all
    .join('')
    .replace(
      /''|\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|([\s\S]))/g,
      (whole, u4, u8, hex, octal, other) => {
        if (whole === "''") return "'";
        if (other !== undefined) {
          if (other === 'u' || other === 'U') isCertain = false;
          return SIMPLE_ESCAPES[other] ?? other;
        }
        const code = Number.parseInt(u4 ?? u8 ?? hex ?? octal, octal !== undefined ? 8 : 16);
        if (code === 0 || code > 0x10ffff || (code > 127 && u4 === undefined && u8 === undefined))
          isCertain = false;
        return isCertain ? String.fromCodePoint(code) : '';
      },
    );
  return isCertain ? { type: 'string', text } : undefined;
}
