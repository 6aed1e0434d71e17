import { testKills } from './kills.js';

await testKills(
  [
    'held',
    'drained',
    'fenced',
    'marker-written',
    'marker-passed',
    'fence-kept',
    'switched-in-store',
    'released',
    'switched',
    'cleaning',
    'rows-deleted',
    'moves-dropped',
    'traces-removed',
  ],
  {
    ABORT: ['aborting', 'copies-cleared', 'moves-withdrawn'],
    ROLLBACK: ['rollback-prepared', 'rolled-back'],
  },
);
