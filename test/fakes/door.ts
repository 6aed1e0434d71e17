import { createServer, type Server } from 'node:net';
import { asOperatingError, type OperatingError } from '../../src/lib/errors.js';
import { ServerTls } from '../../src/lib/server-tls.js';
import type { Request } from '../../src/pool/request.js';
import { StatementIds } from '../../src/pool/statement-ids.js';
import { Authenticator, type LoginRule } from '../../src/postgres/authenticator.js';
import { createDoor, type DoorOptions } from '../../src/postgres/startup.js';
import type { Frontend, FrontendEvents } from '../../src/proxy/frontend.js';

const certificates = new URL('certificates/', import.meta.url).pathname;

export const certificate = (name: string) => `${certificates}${name}`;

export function serverTls(facts: { required?: boolean; clientCa?: string; name?: string } = {}): ServerTls {
  const { required = false, clientCa, name = 'server' } = facts;
  return new ServerTls(
    {
      key: certificate(`${name}.key`),
      cert: certificate(`${name}.crt`),
      clientCa,
      required,
    },
    ['postgresql'],
  );
}

/** A listening door whose clients are served by `serve`, or by a session that answers every query with its own text. */
export class TestDoor {
  readonly frontends: Frontend[] = [];
  readonly requests: Request[] = [];
  readonly cancels: { processId: number; secretKey: Buffer }[] = [];
  readonly closes: string[] = [];
  readonly copies: string[] = [];
  #server: Server | undefined;
  port = 0;

  static async open(
    options: Partial<Omit<DoorOptions, 'cancel' | 'limits'>> & {
      readonly rule?: LoginRule | OperatingError | undefined;
      readonly limits?: Partial<DoorOptions['limits']>;
      readonly serve?: (frontend: Frontend, door: TestDoor) => FrontendEvents;
    } = {},
  ): Promise<TestDoor> {
    const door = new TestDoor();
    const rule: LoginRule = { auth: 'trust', password: undefined, scram: undefined };
    const accept = createDoor({
      tls: options.tls,
      authenticator: options.authenticator ?? new Authenticator(),
      statementIds: options.statementIds ?? new StatementIds(),
      authorize: options.authorize ?? (() => ('rule' in options ? options.rule : rule)),
      cancel: async (key) => {
        door.cancels.push({ ...key });
      },
      limits: {
        maxStartupBytes: 10_000,
        maxMessageBytes: 1024 * 1024,
        maxRequestBytes: 2 * 1024 * 1024,
        authTimeoutMs: 5_000,
        ...options.limits,
      },
    });
    const serve = options.serve ?? echo;
    door.#server = createServer((socket) => {
      accept(socket).then((frontend) => {
        if (frontend === undefined) return;
        door.frontends.push(frontend);
        frontend.welcome(new Map([['server_version', '15.0']]), 4711, Buffer.from([1, 2, 3, 4]));
        frontend.attach(serve(frontend, door));
      });
    });
    await new Promise<void>((resolve) => door.#server!.listen(0, '127.0.0.1', resolve));
    const address = door.#server.address();
    door.port = typeof address === 'object' && address !== null ? address.port : 0;
    return door;
  }

  async close(): Promise<void> {
    for (const frontend of this.frontends) frontend.end();
    await new Promise((resolve) => this.#server!.close(resolve));
  }
}

/** Notes what comes and answers each request at once: a query with its text, the rest with its completions. */
function echo(frontend: Frontend, door: TestDoor): FrontendEvents {
  const { answers } = frontend;
  return {
    onRequest: (request) => {
      door.requests.push(request);
      try {
        for (const step of request.steps) {
          if (step.type === 'query') {
            const column = {
              name: 'text',
              typeOid: 25,
              tableOid: 0,
              columnNumber: 0,
              typeSize: -1,
              typeModifier: -1,
            };
            frontend.send(answers.rowDescription([column], []));
            frontend.send(answers.dataRow([Buffer.from(step.sql)]));
            frontend.send(answers.commandComplete('SELECT 1'));
          } else if (step.type === 'parse') frontend.send(answers.parseComplete());
          else if (step.type === 'bind') frontend.send(answers.bindComplete());
          else if (step.type === 'execute') frontend.send(answers.commandComplete('SELECT 0'));
        }
      } catch (thrown) {
        frontend.sendError(asOperatingError(thrown));
      }
      if (request.end !== 'flush') frontend.sendReady('idle');
    },
    onCopy: (_frame, kind) => door.copies.push(kind),
    onDrain: () => {},
    onClose: (reason) => door.closes.push(reason),
  };
}
