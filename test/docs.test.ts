import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const pages = [
  'README.md',
  'CHANGELOG.md',
  'src/README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

for (const page of pages) {
  test(`every link of ${page} leads somewhere`, () => {
    const links = [...readFileSync(page, 'utf8').matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)].map(
      (match) => match[1]!,
    );
    const broken = links.filter((link) => !/^https?:/.test(link) && !existsSync(join(dirname(page), link)));
    assert.deepEqual(broken, []);
  });
}

test('every file that the floor plan names exists, and every room has its place in it', () => {
  const plan = readFileSync('src/README.md', 'utf8');
  const named = [...plan.matchAll(/`([a-z0-9-]+(?:\/[a-z0-9.-]+)*\.ts)`/g)].map((match) => match[1]!);
  assert.ok(named.length > 20, `${named.length} files`);
  assert.deepEqual(
    named.filter((path) => !existsSync(join('src', path))),
    [],
  );
  const rooms = readdirSync('src', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  assert.deepEqual(
    rooms.filter((room) => !plan.includes(`\`${room}/\``)),
    [],
  );
});

test('every page of the book is in its table of contents', () => {
  const contents = readFileSync('docs/README.md', 'utf8');
  const missing = readdirSync('docs').filter(
    (name) => name.endsWith('.md') && name !== 'README.md' && !contents.includes(`(${name})`),
  );
  assert.deepEqual(missing, []);
});
