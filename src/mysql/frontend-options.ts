import type { StatementIds } from '../pool/statement-ids.js';
import type { CancelKey } from '../proxy/cancel.js';
import type { ClientIdentity } from '../proxy/frontend.js';
import type { AnswerForm } from './answer-stream.js';
import type { Conversation } from './authenticator.js';

/** What a client's login has settled for its connection. */
export interface FrontendOptions {
  /** Longest packet, and most long data. */
  readonly maxPacketBytes: number;
  readonly authTimeoutMs: number;
  readonly statementIds: StatementIds;
  readonly isEncrypted: boolean;
  /** Both ways, from the end of the login on. */
  readonly isCompressed: boolean;
  readonly allowsSeveralStatements: boolean;
  readonly answerForm: AnswerForm;
  /** MARIADB_CLIENT_EXTENDED_METADATA: column definitions have room for it. */
  readonly hasExtendedMetadata: boolean;
  /** The client puts attributes in front of its statements. */
  readonly saysAttributes: boolean;
  /** MARIADB_CLIENT_STMT_BULK_OPERATIONS: it may send several sets of values at once. */
  readonly executesBulk: boolean;
  /** MARIADB_CLIENT_PROGRESS: it wants to hear how far a statement has come. */
  readonly hearsProgress: boolean;
  readonly announcedKey: CancelKey;
  /** Number of the packet that ends the login. */
  readonly sequence: number;
  /** COM_CHANGE_USER: the client proves once more who it is, and says who that is now. Throws when it cannot. */
  readonly reauthenticate: (payload: Buffer, conversation: Conversation) => Promise<ClientIdentity>;
}
