import { MARIADB_TESTS } from '../../engines.js';
import { chosen, FROM_THE_CUTOVER_ON, OF_A_ROLLBACK, OF_AN_ABORT } from '../../stop-points.js';
import { testKills } from '../kills.js';

await testKills(MARIADB_TESTS, chosen(FROM_THE_CUTOVER_ON), {
  ABORT: chosen(OF_AN_ABORT),
  ROLLBACK: chosen(OF_A_ROLLBACK),
});
