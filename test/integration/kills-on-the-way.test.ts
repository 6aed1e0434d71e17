import { POSTGRES_TESTS } from '../engines.js';
import { BEFORE_THE_CUTOVER } from '../stop-points.js';
import { testKills } from './kills.js';

// A restarted proxy goes on to the end.
await testKills(POSTGRES_TESTS, BEFORE_THE_CUTOVER);
