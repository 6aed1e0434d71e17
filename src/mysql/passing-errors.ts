import { errnoOf } from './engine-session.js';

/** Lock wait timeout, deadlock, servers that start, stop or are full, too many connections, killed statements. */
const PASSING: readonly number[] = [
  1021, 1037, 1040, 1041, 1053, 1077, 1203, 1205, 1213, 1226, 1317, 1927, 1290, 1836,
];

/** What mysql2 says of connections that went away. */
const LOST_CONNECTION = /connection lost|closed state|connection .*(closed|ended|destroyed)/i;

/** Errors of servers and connections after which the same may succeed. */
export function isPassing(error: Error): boolean {
  const errno = errnoOf(error);
  return errno === undefined ? LOST_CONNECTION.test(error.message) : PASSING.includes(errno);
}
