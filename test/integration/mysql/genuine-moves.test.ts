import { MYSQL_TESTS } from '../../engines.js';
import { noGenuineMysql } from '../../genuine-mysql.js';
import { testMoves } from '../moves.js';

// All ten pass, too; MariaDB makes them.
if (noGenuineMysql === undefined) await testMoves(MYSQL_TESTS, 3);
