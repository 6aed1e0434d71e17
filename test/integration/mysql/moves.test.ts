import { MARIADB_TESTS } from '../../engines.js';
import { testMoves } from '../moves.js';

await testMoves(MARIADB_TESTS);
