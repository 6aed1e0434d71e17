// Who may import whom (src/README.md has the picture). Imports go down the floors; proxy and migration meet only in
// topology and pool; the hall does not know the wing that speaks Postgres.
const FLOORS = [
  ['lib'],
  ['config', 'metrics', 'sql', 'topology'],
  ['routing', 'pool'],
  ['proxy', 'migration', 'postgres', 'mysql'],
  ['admin'],
  ['workers'],
  ['server\\.ts', 'serving\\.ts', 'worker\\.ts', 'dialects\\.ts', 'cli', 'demo'],
];

const path = (rooms) => `^src/(${rooms.join('|')})(/|$)`;

const upwards = FLOORS.slice(0, -1).map((rooms, floor) => ({
  name: `floor-${floor}-imports-only-downwards`,
  severity: 'error',
  from: { path: path(rooms) },
  to: { path: path(FLOORS.slice(floor + 1).flat()) },
}));

/** Rooms of one floor that may know types of each other, or more. */
const BESIDE = { routing: [], pool: ['routing'], config: [], metrics: [], sql: [], topology: [], postgres: ['proxy', 'migration'], mysql: ['proxy', 'migration'], proxy: [], migration: [] };

const sideways = FLOORS.slice(1, 4).flatMap((rooms) =>
  rooms.map((room) => {
    const others = rooms.filter((other) => other !== room && !BESIDE[room].includes(other));
    // sql and routing read keyspace types; types vanish at run time.
    const typesAllowed = room === 'sql' ? { dependencyTypesNot: ['type-only'] } : {};
    return { name: `${room}-knows-no-room-beside-it`, severity: 'error', from: { path: path([room]) }, to: { path: path(others), ...typesAllowed } };
  }),
);

module.exports = {
  forbidden: [
    ...upwards,
    ...sideways,
    {
      name: 'hall-never-imports-a-wing',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(postgres/|mysql/|sql/postgres-|sql/mysql-|dialects\\.ts|server\\.ts|cli/|demo/)' },
      to: { path: '^src/(postgres|mysql)/' },
    },
    {
      name: 'hall-never-imports-a-dialects-sql',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(postgres/|mysql/|sql/postgres-|sql/mysql-|routing/|dialects\\.ts|server\\.ts|cli/|demo/)' },
      to: { path: '^src/sql/(postgres|mysql)-' },
    },
    { name: 'wings-never-import-each-other', severity: 'error', from: { path: '^src/postgres/' }, to: { path: '^src/mysql/' } },
    { name: 'wings-never-import-one-another', severity: 'error', from: { path: '^src/mysql/' }, to: { path: '^src/postgres/' } },
    {
      name: 'no-circles',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-test-code-in-the-product', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|bench|scripts)/' } },
    { name: 'no-development-packages-in-the-product', severity: 'error', from: { path: '^src/' }, to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] } },
    { name: 'everything-resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'], extensions: ['.ts', '.js', '.cjs', '.json'] },
  },
};
