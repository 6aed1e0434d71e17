import { asError, OperatingError } from '../lib/errors.js';
import type { BackendConnector } from '../pool/backend.js';
import { PostgresBackend } from './postgres-backend.js';
import { parseAddress, type ServerAddress } from './server-address.js';
import { logIn } from './server-login.js';
import { openServerSocket, type ServerSocket } from './server-socket.js';

/** Errors that say already what a connector's caller needs to know. */
const KEPT_ERRORS: ReadonlySet<string> = new Set([
  'shard-connect-failed',
  'unknown-database',
  'configuration',
]);

/** Opens a connection to a Postgres server and logs in. Rejects with OperatingError naming the shard. */
export const connectBackend: BackendConnector = async (target, startup, signal) => {
  const address = parseAddress(target);
  let connection: ServerSocket | undefined;
  try {
    connection = await openServerSocket(address, signal);
    const { socket } = connection;
    const abort = () => socket.destroy(asError(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
    const login = await logIn(connection, address, target, startup).finally(() =>
      signal.removeEventListener('abort', abort),
    );
    return new PostgresBackend(target, { ...address, sslMode: modeFor(connection, address) }, socket, login);
  } catch (thrown) {
    connection?.socket.destroy();
    if (thrown instanceof OperatingError && KEPT_ERRORS.has(thrown.code)) throw thrown;
    const reason = signal.aborted ? abortReason(signal) : asError(thrown);
    throw new OperatingError(
      'shard-connect-failed',
      `cannot connect to shard "${target.shard}" at ${address.host}:${address.port}: ${reason.message}`,
      {
        hint: 'See that the server runs, listens there and lets us in.',
        cause: reason,
      },
    );
  }
};

/** A cancel request goes the way the connection went: encrypted if it is. */
function modeFor(connection: ServerSocket, address: ServerAddress): ServerAddress['sslMode'] {
  if (!connection.isEncrypted) return 'disable';
  return address.sslMode === 'prefer' ? 'require' : address.sslMode;
}

function abortReason(signal: AbortSignal): Error {
  const reason = asError(signal.reason);
  return reason.name === 'TimeoutError' ? new Error('no answer in time', { cause: reason }) : reason;
}
