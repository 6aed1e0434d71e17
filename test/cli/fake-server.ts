import { createServer, type Socket } from 'node:net';
import { Face } from '../../src/admin/face.js';
import { parseConfig } from '../../src/config/load.js';
import { systemClock } from '../../src/lib/clock.js';
import { StatementIds } from '../../src/pool/statement-ids.js';
import { Authenticator } from '../../src/postgres/authenticator.js';
import { createDoor } from '../../src/postgres/startup.js';
import { FakeControl } from '../admin/fake-control.js';

/** The real control port, on a real socket, over a server that is only told. */
export interface FakeServer {
  readonly port: number;
  readonly control: FakeControl;
  /** Cuts all connections, as a crash would; new ones are taken. */
  cut(): void;
  close(): Promise<void>;
}

export async function startFakeServer(
  options: { readonly password?: string; readonly port?: number } = {},
): Promise<FakeServer> {
  const control = new FakeControl();
  const face = new Face(control, systemClock);
  const { password } = options;
  const door = createDoor({
    tls: undefined,
    limits: parseConfig(
      'users: [{name: x, auth: trust}]\ndatabases: {x: {shards: {a: {url: postgres://h/x}}}}',
      'x.yaml',
      {},
    ).config.limits,
    authenticator: new Authenticator(),
    statementIds: new StatementIds(),
    authorize: () => ({
      auth: password === undefined ? 'trust' : 'scram',
      password,
      scram: undefined,
      refusal: undefined,
    }),
    cancel: async () => {},
  });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    void door(socket).then((frontend) => {
      if (frontend !== undefined) face.serveConsole(frontend);
    });
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as { port: number }).port,
    control,
    cut,
    close: async () => {
      cut();
      face.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
