// The tests run as JavaScript: compiling everything once takes two seconds, a loader in each of some 200 processes took two seconds in each.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

/** Where the compiled tree is: what lies beside a source lies beside its JavaScript, and so does what lies above it. */
const MIRROR = '.cache/tests';
const COMPILED = ['src', 'test', 'bench'];
/** What compiled code reads or imports by a path of its own. */
const LINKED = ['package.json', 'config', 'docs', 'scripts'];

/** Compiles sources and tests, and returns what makes a test file's path the one to run. */
export async function compileTests() {
  const files = COMPILED.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name)),
  );
  const sources = files.filter((file) => /(?<!\.d)\.ts$/.test(file));
  const { outputFiles } = await build({
    entryPoints: sources,
    outdir: MIRROR,
    outbase: '.',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    write: false,
    logLevel: 'warning',
  });
  for (const { path, contents } of outputFiles) writeWhenOther(path, contents);
  const others = files.filter((file) => !file.endsWith('.ts'));
  for (const path of [...others, ...LINKED]) link(path);
  removeAllBut([...outputFiles.map(({ path }) => relative('.', path)), ...others.map(mirrored)]);
  return (file) => mirrored(relative('.', resolve(file))).replace(/\.ts$/, '.js');
}

function mirrored(path) {
  return join(MIRROR, path);
}

/** Another run may be reading the files: each is there whole, always. */
function writeWhenOther(path, contents) {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, contents);
  renameSync(unfinished, path);
}

function link(path) {
  const from = mirrored(path);
  mkdirSync(dirname(from), { recursive: true });
  if (!existsSync(from)) symlinkSync(relative(dirname(from), path), from);
}

/** What is left of sources that are gone. */
function removeAllBut(paths) {
  const wanted = new Set(paths);
  for (const folder of COMPILED.map(mirrored))
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      if (!entry.isDirectory() && !wanted.has(path)) rmSync(path);
    }
}
