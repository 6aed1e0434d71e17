/**
 * The messages of protocol 3.0 to 3.2 by the manual's names (PostgreSQL manual 55.7). Types only; the codecs are in
 * frontend-messages.ts (what a client sends) and backend-messages.ts (what a server sends).
 */

/** Type bytes of what a client sends. Startup packets have none. */
export const FRONTEND = {
  Bind: 0x42, // B
  Close: 0x43, // C
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyFail: 0x66, // f
  Describe: 0x44, // D
  Execute: 0x45, // E
  Flush: 0x48, // H
  FunctionCall: 0x46, // F
  Parse: 0x50, // P
  /** PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share one letter. */
  Password: 0x70, // p
  Query: 0x51, // Q
  Sync: 0x53, // S
  Terminate: 0x58, // X
} as const;

/** Type bytes of what a server sends. */
export const BACKEND = {
  Authentication: 0x52, // R
  BackendKeyData: 0x4b, // K
  BindComplete: 0x32, // 2
  CloseComplete: 0x33, // 3
  CommandComplete: 0x43, // C
  CopyBothResponse: 0x57, // W
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyInResponse: 0x47, // G
  CopyOutResponse: 0x48, // H
  DataRow: 0x44, // D
  EmptyQueryResponse: 0x49, // I
  ErrorResponse: 0x45, // E
  FunctionCallResponse: 0x56, // V
  NegotiateProtocolVersion: 0x76, // v
  NoData: 0x6e, // n
  NoticeResponse: 0x4e, // N
  NotificationResponse: 0x41, // A
  ParameterDescription: 0x74, // t
  ParameterStatus: 0x53, // S
  ParseComplete: 0x31, // 1
  PortalSuspended: 0x73, // s
  ReadyForQuery: 0x5a, // Z
  RowDescription: 0x54, // T
} as const;

/** Request codes of packets without a type byte; protocol 3.x is `3 << 16 | x`. */
export const STARTUP_CODE = {
  CancelRequest: 80877102,
  SSLRequest: 80877103,
  GSSENCRequest: 80877104,
  Protocol30: 196608,
} as const;

/** The newest minor version of protocol 3 that is understood here. */
export const NEWEST_MINOR = 2;

export interface Parse {
  readonly type: 'Parse';
  readonly name: string;
  readonly sql: string;
  /** The text's own bytes where they are not UTF-8. */
  readonly bytes: Buffer | undefined;
  readonly parameterTypes: readonly number[];
}

export interface Bind {
  readonly type: 'Bind';
  readonly portal: string;
  readonly statement: string;
  readonly parameterFormats: readonly number[];
  /** Offset of each value's length word in the frame. */
  readonly parameterOffsets: readonly number[];
  readonly resultFormats: readonly number[];
}

export interface Named {
  readonly target: 'statement' | 'portal';
  readonly name: string;
}

export interface Execute {
  readonly type: 'Execute';
  readonly portal: string;
  /** 0: all. */
  readonly maxRows: number;
}

export type StartupPacket =
  | { readonly type: 'SSLRequest' | 'GSSENCRequest' }
  | { readonly type: 'CancelRequest'; readonly processId: number; readonly secretKey: Buffer }
  | {
      readonly type: 'StartupMessage';
      readonly major: number;
      readonly minor: number;
      readonly parameters: ReadonlyMap<string, string>;
    };

export interface SASLInitialResponse {
  readonly mechanism: string;
  readonly response: Buffer | undefined;
}

export type Authentication =
  | { readonly type: 'Ok' | 'CleartextPassword' | 'Unsupported' }
  | { readonly type: 'MD5Password'; readonly salt: Buffer }
  | { readonly type: 'SASL'; readonly mechanisms: readonly string[] }
  | { readonly type: 'SASLContinue' | 'SASLFinal'; readonly data: Buffer };
