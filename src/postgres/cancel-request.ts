import { asError } from '../lib/errors.js';
import { encodeCancelRequest } from './frontend-messages.js';
import type { ServerAddress } from './server-address.js';
import { openServerSocket } from './server-socket.js';

const CANCEL_TIMEOUT_MS = 5_000;

/** Asks a server, on a connection of its own, to cancel what another connection runs. Resolves when the server has passed it on. */
export async function sendCancelRequest(
  address: ServerAddress,
  processId: number,
  secretKey: Buffer,
): Promise<void> {
  const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
  const { socket } = await openServerSocket(address, signal);
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(asError(signal.reason)), { once: true });
      // The server closes when it has passed the request on (PostgreSQL manual 55.2.8).
      socket.on('close', () => resolve());
      socket.write(encodeCancelRequest(processId, secretKey));
      socket.resume();
    });
  } finally {
    socket.destroy();
  }
}
