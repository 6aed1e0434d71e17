import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Tell } from './run-scenario.js';

/**
 * A module of dist, as users run it: what runs from src under this benchmark was compiled by another compiler. The type is
 * `typeof import('../../src/….js')` of the same module.
 */
export async function built<Module>(path: string): Promise<Module> {
  return (await import(pathToFileURL(resolve(join('dist', path))).href)) as Module;
}

/** What runs is dist, as users run it; what is measured must be what src says. */
export function buildWhenStale(tell: Tell): void {
  const built = statSync('dist/cli/main.js', { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).map((path) => join('src', path));
  if (files.every((path) => statSync(path).mtimeMs <= built)) return;
  tell('building …');
  const build = spawnSync('npm', ['run', 'build', '--silent'], { encoding: 'utf8' });
  if (build.status !== 0) throw new Error(`the build failed: ${build.stdout}${build.stderr}`);
}
