import { testKills } from './kills.js';

// Up to here the source owns the moving rows; a restarted proxy goes on to the end.
await testKills([
  'preparing',
  'prepared',
  'published-copying',
  'cleared',
  'snapshots-open',
  'copied',
  'streams-open',
  'caught-up',
  'verified',
  'mirrored',
  'ready',
  'reverse-prepared',
]);
