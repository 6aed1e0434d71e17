import { MARIADB_TESTS } from '../../engines.js';
import { testOwnLogins } from '../own-login.js';

await testOwnLogins(MARIADB_TESTS, {
  start: MARIADB_TESTS.start,
  createUser: (name, password) => `CREATE USER ${name}@'%' IDENTIFIED BY '${password}'`,
  nameOf: (user) => `${user}@'%'`,
  marksBob: ['CREATE ROLE night', "GRANT night TO bob@'%'", "SET DEFAULT ROLE night FOR bob@'%'"],
  who: "SELECT concat(substring_index(current_user(), '@', 1), ' ', ifnull(current_role(), 'NONE')) AS who",
  plainMark: 'NONE',
  bobsMark: 'night',
  wrongPassword: /Access denied for user 'eve'/,
  denied: /command denied to user/,
});
