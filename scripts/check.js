// npm run check: types, style and lint, dead code, who may import whom, and how long a file may be.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

process.chdir(new URL('..', import.meta.url).pathname);

const MOST_LINES = 400;

function longFiles() {
  return ['src', 'test', 'bench', 'scripts']
    .flatMap((folder) => readdirSync(folder, { recursive: true }).map((path) => join(folder, path)))
    .filter((path) => /\.(ts|js|html|css)$/.test(path))
    .map((path) => ({ path, lines: readFileSync(path, 'utf8').split('\n').length - 1 }))
    .filter((file) => file.lines > MOST_LINES)
    .map((file) => `${file.path} has ${file.lines} lines; ${MOST_LINES} is the most`);
}

function tool(program, ...args) {
  const run = spawnSync(join('node_modules', '.bin', program), args, {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  return run.status === 0 ? [] : [`${run.stdout ?? ''}${run.stderr ?? ''}${run.error?.message ?? ''}`.trim()];
}

const CHECKS = [
  ['types (tsc)', () => tool('tsc', '--noEmit', '-p', 'tsconfig.json')],
  [
    'style and lint (biome)',
    () => tool('biome', 'check', '--error-on-warnings', 'src', 'test', 'bench', 'scripts'),
  ],
  ['dead code and dependencies (knip)', () => tool('knip', '--no-progress')],
  [
    'import rules (dependency-cruiser)',
    () => tool('depcruise', '--config', '.dependency-cruiser.cjs', 'src'),
  ],
  [`no file over ${MOST_LINES} lines`, longFiles],
];

let failed = 0;
for (const [name, check] of CHECKS) {
  const complaints = check();
  process.stdout.write(`${complaints.length === 0 ? 'ok    ' : 'FAILED'} ${name}\n`);
  if (complaints.length > 0) process.stdout.write(`${complaints.join('\n').replaceAll(/^/gm, '       ')}\n`);
  if (complaints.length > 0) failed++;
}
process.exit(failed === 0 ? 0 : 1);
