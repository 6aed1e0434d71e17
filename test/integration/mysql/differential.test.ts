import { MARIADB_TESTS } from '../../engines.js';
import { testDifferential } from '../differential.js';
import { wingOf } from './differential-wing.js';

await testDifferential(wingOf(MARIADB_TESTS));
