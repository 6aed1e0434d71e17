import { startPostgres } from '../cluster.js';
import { POSTGRES_TESTS } from '../engines.js';
import { testOwnLogins } from './own-login.js';

await testOwnLogins(POSTGRES_TESTS, {
  start: (atEnd, count) =>
    startPostgres(atEnd, { count, auth: 'scram-sha-256', settings: { max_prepared_transactions: '10' } }),
  createUser: (name, password) => `CREATE ROLE ${name} LOGIN PASSWORD '${password}'`,
  nameOf: (user) => user,
  marksBob: ['ALTER ROLE bob SET DateStyle = german'],
  who: "SELECT current_user || ' ' || current_setting('DateStyle') AS who",
  plainMark: 'ISO, MDY',
  bobsMark: 'German, DMY',
  wrongPassword: /password authentication failed/,
  denied: /permission denied/,
});
