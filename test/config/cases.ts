/** A file with one mistake: what it is, the file, where the mistake is, what is said about it, what to write. */
export type MistakeCase = readonly [
  name: string,
  text: string,
  place: string,
  path: string,
  message: RegExp,
  remedy: RegExp | undefined,
];

export const USERS = 'users: [ { name: app, password: secret } ]';
export const SHARDS =
  'shards: { a: { url: postgres://app@127.0.0.1:5431/shop }, b: { url: postgres://app@127.0.0.1:5432/shop } }';

/** A whole file with `shop` around these lines of one database. */
export function shop(...lines: string[]): string {
  return [USERS, 'databases:', '  shop:', ...lines.map((line) => `    ${line}`)].join('\n');
}
