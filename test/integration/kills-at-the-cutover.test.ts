import { POSTGRES_TESTS } from '../engines.js';
import { FROM_THE_CUTOVER_ON, OF_A_ROLLBACK, OF_AN_ABORT } from '../stop-points.js';
import { testKills } from './kills.js';

await testKills(POSTGRES_TESTS, FROM_THE_CUTOVER_ON, { ABORT: OF_AN_ABORT, ROLLBACK: OF_A_ROLLBACK });
