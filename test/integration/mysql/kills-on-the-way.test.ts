import { MARIADB_TESTS } from '../../engines.js';
import { BEFORE_THE_CUTOVER, chosen } from '../../stop-points.js';
import { testKills } from '../kills.js';

// A restarted proxy goes on to the end.
await testKills(MARIADB_TESTS, chosen(BEFORE_THE_CUTOVER));
