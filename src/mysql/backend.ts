import { openSocket, whileAlive } from '../lib/client-socket.js';
import { asError, OperatingError } from '../lib/errors.js';
import type { BackendConnector, BackendTarget } from '../pool/backend.js';
import { MysqlBackend } from './mysql-backend.js';
import { parseAddress } from './server-address.js';
import { logIn } from './server-login.js';

/** Errors that say already what a connector's caller needs to know. */
const KEPT_ERRORS: ReadonlySet<string> = new Set([
  'shard-connect-failed',
  'unknown-database',
  'configuration',
]);
const KILL_TIMEOUT_MS = 5_000;
/** The connection to be stopped has ended by itself. */
const NO_SUCH_THREAD = /unknown thread id/i;

/** Opens a connection to a MySQL or MariaDB server and logs in. Rejects with OperatingError naming the shard. */
export const connectMysqlBackend: BackendConnector = async (target, startup, signal) => {
  const address = parseAddress(target);
  try {
    const socket = await openSocket(address.host, address.port, signal);
    const login = await whileAlive(socket, signal, () => logIn(socket, address, target, startup));
    return new MysqlBackend(target, login, () => killQuery(target, login.connectionId));
  } catch (thrown) {
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

/** Stops the statement that another connection runs, on a connection of its own. */
async function killQuery(target: BackendTarget, connectionId: number): Promise<void> {
  const signal = AbortSignal.timeout(KILL_TIMEOUT_MS);
  const killer = await connectMysqlBackend({ ...target, database: '' }, new Map(), signal);
  try {
    await killer.run(`KILL QUERY ${connectionId}`);
  } catch (thrown) {
    if (!NO_SUCH_THREAD.test(asError(thrown).message)) throw thrown;
  } finally {
    killer.terminate();
  }
}

function abortReason(signal: AbortSignal): Error {
  const reason = asError(signal.reason);
  return reason.name === 'TimeoutError' ? new Error('no answer in time', { cause: reason }) : reason;
}
