import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { mustRun, runToEnd } from './programs.js';
import { connectionVariables, type Outcome, type Outcomes, type Suite } from './suite.js';

const FILE_LIMIT_MS = 60_000;

/** The version of node-postgres that this repository is developed with: the one whose behaviour is compared. */
const CURRENT: string = (createRequire(import.meta.url)('pg/package.json') as { version: string }).version;

async function install(folder: string, ...packages: string[]): Promise<void> {
  await writeFile(join(folder, 'package.json'), '{"private": true}\n');
  await mustRun('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...packages], folder);
}

/** Unpacks a published package as `folder/tests`. */
async function unpack(folder: string, specifier: string): Promise<void> {
  const packed = await mustRun('npm', ['pack', '--silent', specifier], folder);
  const archive = /^\S+\.tgz$/m.exec(packed)![0];
  await mkdir(join(folder, 'tests'));
  await mustRun('tar', ['xzf', archive, '-C', 'tests', '--strip-components=1'], folder);
}

async function testFiles(folder: string, under: string, wanted: RegExp): Promise<string[]> {
  const found = await readdir(join(folder, 'tests', under), { recursive: true });
  return found
    .filter((path) => wanted.test(path))
    .map((path) => join(under, path))
    .sort();
}

/**
 * The last release of node-postgres whose package holds its tests is 4.5.7, and that does not run on today's Node. Its tests run
 * against the current driver, by these words for what version 4 said otherwise: a query without a callback is an
 * emitter, and `pg.connect` lends from a pool.
 */
const OLD_FACE = `'use strict';
const pg = require('pg');
class Client extends pg.Client {
  query(config, values, callback) {
    if (typeof values === 'function') [values, callback] = [undefined, values];
    if (config && typeof config.submit === 'function') return super.query(config, values, callback);
    const query = new pg.Query(config, values, callback);
    super.query(query);
    return query;
  }
}
const pools = new Map();
function poolFor(config) {
  const key = JSON.stringify(config);
  if (!pools.has(key)) {
    const options = typeof config === 'string' ? { connectionString: config } : { ...config };
    pools.set(key, new pg.Pool({ max: face.defaults.poolSize || 10, ...options, Client, allowExitOnIdle: true }));
    pools.get(key).on('error', (error, client) => face.emit('error', error, client));
  }
  return pools.get(key);
}
const EventEmitter = require('events');
const face = Object.assign(new EventEmitter(), {
  Client, Query: pg.Query, Connection: pg.Connection, Pool: pg.Pool, types: pg.types, defaults: pg.defaults, pools: {},
  connect(config, callback) {
    if (typeof config === 'function') [config, callback] = [undefined, config];
    poolFor(config === undefined ? {} : config).connect((error, client, done) => callback(error || null, client, done));
  },
  end() {
    for (const pool of pools.values()) pool.end();
    pools.clear();
  },
});
module.exports = face;
`;

/** The suite asks whether the server is of some version or later; semver does not take `15.18` for a version. */
const SEMVER = `'use strict';
const parts = (version) => version.split('.').map(Number);
exports.gte = (one, other) => {
  const [a, b] = [parts(one), parts(other)];
  const at = b.findIndex((part, index) => part !== (a[index] || 0));
  return at < 0 || (a[at] || 0) > b[at];
};
`;

const nodePostgres: Suite = {
  name: 'node-postgres',
  brings: `pg 4.5.7's tests with pg ${CURRENT} (npm)`,
  async bring(folder) {
    await install(folder, `pg@${CURRENT}`, 'async@0.9.0', 'generic-pool@2.4.2', 'pg-copy-streams@7');
    await unpack(folder, 'pg@4.5.7');
    await rm(join(folder, 'tests', 'lib'), { recursive: true });
    await mkdir(join(folder, 'tests', 'lib'));
    await writeFile(join(folder, 'tests', 'lib', 'index.js'), OLD_FACE);
    await mkdir(join(folder, 'tests', 'node_modules', 'semver'), { recursive: true });
    await writeFile(join(folder, 'tests', 'node_modules', 'semver', 'index.js'), SEMVER);
    for (const part of [
      'client',
      'connection',
      'connection-parameters',
      'defaults',
      'query',
      'result',
      'utils',
      'type-overrides',
    ])
      await writeFile(
        join(folder, 'tests', 'lib', `${part}.js`),
        `module.exports = require('pg/lib/${part}');\n`,
      );
  },
  files: (folder) => testFiles(folder, 'test/integration', /-tests\.js$/),
  async run(folder, file, target) {
    const { host, port, database } = target;
    const { name } = target;
    const url = `postgres://postgres@${host}:${port}/${database}`;
    const cwd = join(folder, 'tests');
    await prepareOnce(cwd, url, name);
    const options = { cwd, env: connectionVariables(target), limitMs: FILE_LIMIT_MS };
    const { status, output } = await runToEnd(process.execPath, [file, url], options);
    const outcome: Outcome =
      status === 0
        ? { kind: 'passed' }
        : { kind: 'failed', reason: `status ${status}: ${firstError(output)}` };
    return new Map([[file, outcome]]);
  },
};

const prepared = new Set<string>();

/** The suite's own table of 26 people, made by its own script. */
async function prepareOnce(cwd: string, url: string, target: string): Promise<void> {
  if (prepared.has(target)) return;
  prepared.add(target);
  await mustRun(process.execPath, [join('script', 'create-test-tables.js'), url], cwd);
}

function firstError(output: string): string {
  const line = output.split('\n').find((line) => /Error|error|expected/i.test(line));
  return (line ?? output.trim().split('\n').at(-1) ?? '').trim();
}

/** A package whose tests are mocha's, at an older version that holds them, run against the current one. */
function mochaSuite(name: string, withTests: string, current: string, needs: readonly string[]): Suite {
  return {
    name,
    brings: `${name} ${withTests}'s tests with ${name} ${current}.x and pg ${CURRENT} (npm)`,
    async bring(folder) {
      await install(folder, `pg@${CURRENT}`, `${name}@${current}`, 'mocha@6', ...needs);
      await unpack(folder, `${name}@${withTests}`);
      await writeFile(join(folder, 'tests', 'index.js'), `module.exports = require('${name}');\n`);
      await rm(join(folder, 'tests', 'test', 'mocha.opts'), { force: true });
    },
    files: (folder) => testFiles(folder, 'test', /^(?!setup|helper).*\.js$/),
    async run(folder, file, target) {
      const mocha = join(folder, 'node_modules', '.bin', 'mocha');
      const report = join(folder, 'report.json');
      await rm(report, { force: true });
      const { status, output } = await runToEnd(
        mocha,
        ['--no-config', '--exit', '--timeout', '20000', '--reporter', 'json', file],
        {
          cwd: join(folder, 'tests'),
          env: connectionVariables(target),
          limitMs: FILE_LIMIT_MS * 2,
        },
      );
      return readMocha(file, status, output);
    },
  };
}

interface MochaTest {
  readonly fullTitle: string;
  readonly err: { readonly message?: string };
}

function readMocha(file: string, status: number, output: string): Outcomes {
  const begin = output.indexOf('{\n  "stats"');
  const end = output.lastIndexOf('\n}');
  if (begin < 0 || end < begin) {
    return new Map([[file, { kind: 'failed', reason: `status ${status}: ${firstError(output)}` }]]);
  }
  const report = JSON.parse(output.slice(begin, end + 2)) as Record<
    'passes' | 'failures' | 'pending',
    MochaTest[]
  >;
  const outcomes = new Map<string, Outcome>();
  const note = (test: MochaTest, outcome: Outcome) =>
    outcomes.set(`${basename(file)}: ${test.fullTitle}`, outcome);
  for (const test of report.passes) note(test, { kind: 'passed' });
  for (const test of report.pending) note(test, { kind: 'skipped' });
  for (const test of report.failures)
    note(test, { kind: 'failed', reason: test.err.message?.split('\n')[0] ?? '' });
  return outcomes;
}

export const nodeSuites: readonly Suite[] = [
  nodePostgres,
  mochaSuite('pg-pool', '3.1.0', '3', ['expect.js@0.3.1', 'lodash@4', 'bluebird@3', 'co@4', 'pg-cursor@2']),
  mochaSuite('pg-cursor', '2.1.0', '2', []),
  mochaSuite('pg-query-stream', '3.0.0', '4', ['concat-stream@1.0.1', 'through@2.3']),
];
