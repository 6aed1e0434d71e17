import { readFileSync } from 'node:fs';

/** As in package.json, which stands two folders above both src/admin and dist/admin. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version;
