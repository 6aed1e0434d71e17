import { connect, type Socket } from 'node:net';
import type pg from 'pg';
import { encodeCancelRequest } from '../../src/postgres/frontend-messages.js';

/** As libpq does: the request on a connection of its own, then wait until the other side closes it. */
export async function cancelOn(client: pg.Client): Promise<void> {
  const { processID, secretKey, port } = client as unknown as {
    processID: number;
    secretKey: number;
    port: number;
  };
  const secret = Buffer.alloc(4);
  secret.writeInt32BE(secretKey);
  const socket: Socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.write(encodeCancelRequest(processID, secret));
    socket.resume();
  });
}
