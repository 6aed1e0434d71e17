import { MYSQL_TESTS } from '../../engines.js';
import { noGenuineMysql } from '../../genuine-mysql.js';
import { testDifferential } from '../differential.js';
import { wingOf } from './differential-wing.js';

/** In its own words: it has no RETURNING and no type of UUIDs, and warns of VALUES(column). */
function written(sql: string): string {
  const plain = sql
    .replaceAll('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')
    .replace(/\buuid\b(?! *\()/g, 'char(36)')
    .replace(/ RETURNING .*$/s, '');
  const [insert = '', update] = plain.split(' ON DUPLICATE KEY UPDATE ');
  if (update?.includes('VALUES(') !== true) return plain;
  return `${insert} AS new ON DUPLICATE KEY UPDATE ${update.replace(/VALUES\((\w+)\)/g, 'new.$1')}`;
}

const UNPREPARED = /^(BEGIN|START|SAVEPOINT|ROLLBACK|RELEASE|SHOW)/;

if (noGenuineMysql === undefined)
  await testDifferential(wingOf(MYSQL_TESTS, written, UNPREPARED), { rounds: 150, moves: false });
