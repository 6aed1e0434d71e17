import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * A module of dist, as users run it: what runs from src under this benchmark was compiled by another compiler. The type is
 * `typeof import('../../src/….js')` of the same module.
 */
export async function built<Module>(path: string): Promise<Module> {
  return (await import(pathToFileURL(resolve(join('dist', path))).href)) as Module;
}
