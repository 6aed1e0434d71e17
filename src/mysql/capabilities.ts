/** Capability flags of the handshake (MySQL internals, "Capabilities Flags"). The upper bits make numbers above 2^31: combine with `|` and end with `>>> 0`, test with `has`. */
export const CAPABILITY = {
  LONG_PASSWORD: 0x1,
  FOUND_ROWS: 0x2,
  LONG_FLAG: 0x4,
  CONNECT_WITH_DB: 0x8,
  NO_SCHEMA: 0x10,
  COMPRESS: 0x20,
  ODBC: 0x40,
  LOCAL_FILES: 0x80,
  IGNORE_SPACE: 0x100,
  PROTOCOL_41: 0x200,
  INTERACTIVE: 0x400,
  SSL: 0x800,
  IGNORE_SIGPIPE: 0x1000,
  TRANSACTIONS: 0x2000,
  RESERVED: 0x4000,
  SECURE_CONNECTION: 0x8000,
  MULTI_STATEMENTS: 0x10000,
  MULTI_RESULTS: 0x20000,
  PS_MULTI_RESULTS: 0x40000,
  PLUGIN_AUTH: 0x80000,
  CONNECT_ATTRS: 0x100000,
  PLUGIN_AUTH_LENENC_DATA: 0x200000,
  CAN_HANDLE_EXPIRED_PASSWORDS: 0x400000,
  SESSION_TRACK: 0x800000,
  DEPRECATE_EOF: 0x1000000,
  OPTIONAL_RESULTSET_METADATA: 0x2000000,
  ZSTD_COMPRESSION: 0x4000000,
  QUERY_ATTRIBUTES: 0x8000000,
} as const;

/** MariaDB's own, in a word of their own; only sides that leave LONG_PASSWORD out say them. */
export const MARIADB_CAPABILITY = {
  PROGRESS: 0x1,
  STMT_BULK_OPERATIONS: 0x4,
  EXTENDED_METADATA: 0x8,
  CACHE_METADATA: 0x10,
} as const;

export function has(flags: number, flag: number): boolean {
  return (flags & flag) !== 0;
}

/** Status flags of OK and EOF. */
export const STATUS = {
  IN_TRANS: 0x1,
  AUTOCOMMIT: 0x2,
  MORE_RESULTS_EXISTS: 0x8,
  NO_GOOD_INDEX_USED: 0x10,
  NO_INDEX_USED: 0x20,
  CURSOR_EXISTS: 0x40,
  LAST_ROW_SENT: 0x80,
  DB_DROPPED: 0x100,
  NO_BACKSLASH_ESCAPES: 0x200,
  METADATA_CHANGED: 0x400,
  QUERY_WAS_SLOW: 0x800,
  PS_OUT_PARAMS: 0x1000,
  IN_TRANS_READONLY: 0x2000,
  SESSION_STATE_CHANGED: 0x4000,
} as const;

/** First byte of a client's packet. */
export const COM = {
  SLEEP: 0x00,
  QUIT: 0x01,
  INIT_DB: 0x02,
  QUERY: 0x03,
  FIELD_LIST: 0x04,
  CREATE_DB: 0x05,
  DROP_DB: 0x06,
  REFRESH: 0x07,
  SHUTDOWN: 0x08,
  STATISTICS: 0x09,
  PROCESS_INFO: 0x0a,
  CONNECT: 0x0b,
  PROCESS_KILL: 0x0c,
  DEBUG: 0x0d,
  PING: 0x0e,
  TIME: 0x0f,
  DELAYED_INSERT: 0x10,
  CHANGE_USER: 0x11,
  BINLOG_DUMP: 0x12,
  TABLE_DUMP: 0x13,
  CONNECT_OUT: 0x14,
  REGISTER_SLAVE: 0x15,
  STMT_PREPARE: 0x16,
  STMT_EXECUTE: 0x17,
  STMT_SEND_LONG_DATA: 0x18,
  STMT_CLOSE: 0x19,
  STMT_RESET: 0x1a,
  SET_OPTION: 0x1b,
  STMT_FETCH: 0x1c,
  DAEMON: 0x1d,
  BINLOG_DUMP_GTID: 0x1e,
  RESET_CONNECTION: 0x1f,
  /** MariaDB only. */
  STMT_BULK_EXECUTE: 0xfa,
  MULTI: 0xfe,
} as const;

/** Type codes of columns and parameters. */
export const FIELD_TYPE = {
  DECIMAL: 0,
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  NULL: 6,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  TIME: 11,
  DATETIME: 12,
  YEAR: 13,
  NEWDATE: 14,
  VARCHAR: 15,
  BIT: 16,
  VECTOR: 242,
  JSON: 245,
  NEWDECIMAL: 246,
  ENUM: 247,
  SET: 248,
  TINY_BLOB: 249,
  MEDIUM_BLOB: 250,
  LONG_BLOB: 251,
  BLOB: 252,
  VAR_STRING: 253,
  STRING: 254,
  GEOMETRY: 255,
} as const;

/** In `typeOid`: the type code's values have no sign. */
export const UNSIGNED_TYPE = 0x8000;

export const FIELD_FLAG = {
  NOT_NULL: 0x1,
  PRI_KEY: 0x2,
  UNIQUE_KEY: 0x4,
  MULTIPLE_KEY: 0x8,
  BLOB: 0x10,
  UNSIGNED: 0x20,
  ZEROFILL: 0x40,
  BINARY: 0x80,
  ENUM: 0x100,
  AUTO_INCREMENT: 0x200,
  TIMESTAMP: 0x400,
  SET: 0x800,
  NO_DEFAULT_VALUE: 0x1000,
  ON_UPDATE_NOW: 0x2000,
  NUM: 0x8000,
} as const;

/** Collation id of `utf8mb4_general_ci`, which every server since 5.5 knows. */
export const UTF8MB4_GENERAL_CI = 45;
export const BINARY_COLLATION = 63;

/** The character set that a collation id belongs to; undefined for an id that no server uses. Three bytes of `utf8` are `utf8mb3`. */
export function characterSetOf(collationId: number): string | undefined {
  return CHARACTER_SET_BY_ID.get(collationId);
}

/** The id of a character set's default collation, as the handshake carries it. `utf8` is `utf8mb3`. */
export function collationIdOf(characterSet: string): number | undefined {
  const name = characterSet.toLowerCase();
  return COLLATION_IDS[name === 'utf8' ? 'utf8mb3' : name]?.[0];
}

/** Ids by character set, the default collation first (information_schema.collations of MariaDB 10.11; MySQL 8's own in RANGES). */
const COLLATION_IDS: Readonly<Record<string, readonly number[]>> = {
  armscii8: [32, 64, 1056, 1088],
  ascii: [11, 65, 1035, 1089],
  big5: [1, 84, 1025, 1108],
  binary: [63],
  cp1250: [26, 34, 44, 66, 99, 1050, 1090],
  cp1251: [51, 14, 23, 50, 52, 1074, 1075],
  cp1256: [57, 67, 1081, 1091],
  cp1257: [59, 29, 58, 1082, 1083],
  cp850: [4, 80, 1028, 1104],
  cp852: [40, 81, 1064, 1105],
  cp866: [36, 68, 1060, 1092],
  cp932: [95, 96, 1119, 1120],
  dec8: [3, 69, 1027, 1093],
  eucjpms: [97, 98, 1121, 1122],
  euckr: [19, 85, 1043, 1109],
  gb18030: [248, 249, 250],
  gb2312: [24, 86, 1048, 1110],
  gbk: [28, 87, 1052, 1111],
  geostd8: [92, 93, 1116, 1117],
  greek: [25, 70, 1049, 1094],
  hebrew: [16, 71, 1040, 1095],
  hp8: [6, 72, 1030, 1096],
  keybcs2: [37, 73, 1061, 1097],
  koi8r: [7, 74, 1031, 1098],
  koi8u: [22, 75, 1046, 1099],
  latin1: [8, 5, 15, 31, 47, 48, 49, 94, 1032, 1071],
  latin2: [9, 2, 21, 27, 77, 1033, 1101],
  latin5: [30, 78, 1054, 1102],
  latin7: [41, 20, 42, 79, 1065, 1103],
  macce: [38, 43, 1062, 1067],
  macroman: [39, 53, 1063, 1077],
  sjis: [13, 88, 1037, 1112],
  swe7: [10, 82, 1034, 1106],
  tis620: [18, 89, 1042, 1113],
  ucs2: [35, 90, 159, 1059, 1114, 1152, 1174],
  ujis: [12, 91, 1036, 1115],
  utf16: [54, 55, 1078, 1079, 1125, 1147],
  utf16le: [56, 62, 1080, 1086],
  utf32: [60, 61, 1084, 1085, 1184, 1206],
  utf8mb3: [33, 76, 83, 223, 1057, 1107, 1216, 1238],
  utf8mb4: [45, 46, 1069, 1070, 1248, 1270],
};

/** First id, last id. The ids from 2048 on are the UCA 14 collations of MariaDB. */
const RANGES: readonly (readonly [string, number, number])[] = [
  ['utf16', 101, 124],
  ['ucs2', 128, 151],
  ['utf32', 160, 183],
  ['utf8mb3', 192, 215],
  ['utf8mb4', 224, 247],
  ['utf8mb4', 255, 323],
  ['utf8mb3', 576, 578],
  ['utf8mb4', 608, 610],
  ['ucs2', 640, 642],
  ['utf16', 672, 674],
  ['utf32', 736, 738],
  ['utf8mb3', 2048, 2303],
  ['utf8mb4', 2304, 2559],
  ['ucs2', 2560, 2815],
  ['utf16', 2816, 3071],
  ['utf32', 3072, 3327],
];

const CHARACTER_SET_BY_ID: ReadonlyMap<number, string> = new Map([
  ...RANGES.flatMap(([name, first, last]) =>
    Array.from({ length: last - first + 1 }, (_, index): [number, string] => [first + index, name]),
  ),
  ...Object.entries(COLLATION_IDS).flatMap(([name, ids]) => ids.map((id): [number, string] => [id, name])),
]);
