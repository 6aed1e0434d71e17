import type { OperatingError } from '../lib/errors.js';
import type { ErrMessage } from './result-messages.js';

/** Numbers of errors that the frontend itself tells (MySQL manual, Server Error Message Reference). */
export const ERRNO = {
  unknownCommand: 1047,
  emptyQuery: 1065,
  outOfOrder: 1156,
  noDatabase: 1046,
  wrongArguments: 1210,
  unknownStatement: 1243,
  notPreparable: 1295,
  noCursor: 1421,
  malformedPacket: 1835,
} as const;

const GENERAL_SQLSTATE = 'HY000';

/** SQL states as the servers pair them with their numbers; all others are general errors. */
const SQLSTATES: Readonly<Record<number, string>> = {
  1040: '08004', // ER_CON_COUNT_ERROR
  1044: '42000', // ER_DBACCESS_DENIED_ERROR
  1043: '08S01', // ER_HANDSHAKE_ERROR
  1045: '28000', // ER_ACCESS_DENIED_ERROR
  1046: '3D000', // ER_NO_DB_ERROR
  1047: '08S01', // ER_UNKNOWN_COM_ERROR
  1049: '42000', // ER_BAD_DB_ERROR
  1053: '08S01', // ER_SERVER_SHUTDOWN
  1064: '42000', // ER_PARSE_ERROR
  1065: '42000', // ER_EMPTY_QUERY
  1153: '08S01', // ER_NET_PACKET_TOO_LARGE
  1156: '08S01', // ER_NET_PACKETS_OUT_OF_ORDER
  1158: '08S01', // ER_NET_READ_ERROR
  1159: '08S01', // ER_NET_READ_INTERRUPTED
  1205: 'HY000', // ER_LOCK_WAIT_TIMEOUT
  1210: 'HY000', // ER_WRONG_ARGUMENTS
  1213: '40001', // ER_LOCK_DEADLOCK
  1235: '42000', // ER_NOT_SUPPORTED_YET
  1243: 'HY000', // ER_UNKNOWN_STMT_HANDLER
  1305: '42000', // ER_SP_DOES_NOT_EXIST
  1317: '70100', // ER_QUERY_INTERRUPTED
  1399: 'XAE07', // ER_XAER_RMFAIL
  1461: '42000', // ER_MAX_PREPARED_STMT_COUNT_REACHED
};

/** Postgres' states that the hall says where an error of one kind has several, as MySQL's numbers. */
const ERRNO_BY_STATE: Readonly<Record<string, number>> = {
  '3B001': 1305, // no such savepoint
  '25P03': 1159, // idle in a transaction for too long
  '40001': 1213,
  '40P01': 1213,
  '55P03': 1205,
};

/** Longest message that clients keep (MYSQL_ERRMSG_SIZE of libmysqlclient). */
const MAX_MESSAGE_CHARACTERS = 500;

/** An error of ours as clients of MySQL know errors: one number, its state, one text that also holds the hint. */
export function errOf(error: OperatingError): ErrMessage {
  const errno = ERRNO_BY_STATE[error.sqlstate] ?? error.errno;
  const parts = [error.message, error.detail, error.hint].filter((part) => part !== undefined && part !== '');
  return { errno, sqlstate: sqlstateOf(errno), message: shorten(parts.map(asSentence).join(' ')) };
}

export function sqlstateOf(errno: number): string {
  return SQLSTATES[errno] ?? GENERAL_SQLSTATE;
}

function asSentence(part: string | undefined, index: number, all: readonly unknown[]): string {
  const text = part ?? '';
  return index === all.length - 1 || /[.!?:]$/.test(text) ? text : `${text}.`;
}

function shorten(message: string): string {
  if (message.length <= MAX_MESSAGE_CHARACTERS) return message;
  return `${message.slice(0, MAX_MESSAGE_CHARACTERS - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
