import { OperatingError } from '../lib/errors.js';

/** Where a statement goes, said by hand: `/* ringferry: key=42 *\/` or `/* ringferry: shard=a *\/`. */
export type Hint =
  | { readonly type: 'shard'; readonly shard: string }
  | { readonly type: 'key'; readonly key: string };

/** The hint in a block comment, undefined when the comment is not addressed to us. Throws on one that cannot be understood. */
export function hintOfComment(comment: string): Hint | undefined {
  if (!comment.startsWith('/*')) return undefined;
  const text = comment.slice(2, -2).trim();
  if (!text.toLowerCase().startsWith('ringferry:')) return undefined;
  const match = /^(shard|key)\s*=\s*(.*)$/is.exec(text.slice('ringferry:'.length).trim());
  if (match === null) throw badHint(text);
  return hintOf(match[1]!.toLowerCase() as 'shard' | 'key', unquoted(match[2]!.trim()));
}

/** The hint of `SET ringferry.shard = …` or `SET ringferry.key = …`; undefined for an empty value, which takes it back. */
export function hintOf(name: 'shard' | 'key', value: string): Hint | undefined {
  if (value === '') return undefined;
  return name === 'shard' ? { type: 'shard', shard: value } : { type: 'key', key: value };
}

function unquoted(text: string): string {
  if (text.length >= 2 && text.startsWith("'") && text.endsWith("'"))
    return text.slice(1, -1).replaceAll("''", "'");
  return text;
}

function badHint(text: string): OperatingError {
  return new OperatingError('invalid-parameter', `the hint "${text.slice(0, 100)}" cannot be understood`, {
    hint: 'Write /* ringferry: key=VALUE */ or /* ringferry: shard=NAME */.',
  });
}
