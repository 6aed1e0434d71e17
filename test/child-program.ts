import { extname } from 'node:path';

/** What this code's own files end with: npm test compiles them all, `node --import tsx --test FILE` runs the sources. */
const EXTENSION = extname(import.meta.url);

/** The URL of a source by its path from the root, without its ending, for code that another process runs. */
export function sourceUrl(path: string): string {
  return new URL(`../${path}${EXTENSION}`, import.meta.url).href;
}

/** What to run Node with, so that it runs this module code, which may import sources. */
export function codeArguments(code: string): string[] {
  return [...loaderArguments(), '--input-type=module', '-e', code];
}

/** What to run Node with, so that it runs this test file. */
export function testFileArguments(path: string): string[] {
  return [...loaderArguments(), '--test-reporter=spec', new URL(sourceUrl(path)).pathname];
}

function loaderArguments(): string[] {
  return EXTENSION === '.ts' ? ['--import', import.meta.resolve('tsx')] : ['--enable-source-maps'];
}
