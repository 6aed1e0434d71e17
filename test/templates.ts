import { join } from 'node:path';

/** Where servers of this kind keep a fresh installation for the tests of one run; undefined when there is no such place (scripts/test.js). */
export function templateFolder(kind: string): string | undefined {
  const folder = process.env['RINGFERRY_TEST_TEMPLATES'];
  return folder === undefined || folder === '' ? undefined : join(folder, kind.replaceAll('/', '-'));
}
