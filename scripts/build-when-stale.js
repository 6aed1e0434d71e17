// What the tests and the benchmarks start as a process is dist, as users run it; it must be what src says.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Builds when a file of src is younger than dist; throws what the compiler said when that fails. */
export function buildWhenStale(tell) {
  const built = statSync('dist/cli/main.js', { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const files = readdirSync('src', { recursive: true }).map((path) => join('src', path));
  if (files.every((path) => statSync(path).mtimeMs <= built)) return;
  tell('building …');
  const build = spawnSync('npm', ['run', 'build', '--silent'], { encoding: 'utf8' });
  if (build.status !== 0) throw new Error(`the build failed: ${build.stdout}${build.stderr}`);
}
