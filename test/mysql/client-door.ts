import { type AddressInfo, createServer } from 'node:net';
import { asError, asOperatingError, OperatingError } from '../../src/lib/errors.js';
import { ServerTls } from '../../src/lib/server-tls.js';
import { Authenticator, type LoginRule } from '../../src/mysql/authenticator.js';
import { FIELD_TYPE } from '../../src/mysql/capabilities.js';
import { createDoor, type DoorOptions } from '../../src/mysql/startup.js';
import type { ResultColumn } from '../../src/pool/backend.js';
import type { PreparedStatement, Request, Step } from '../../src/pool/request.js';
import { StatementIds } from '../../src/pool/statement-ids.js';
import { CancelKeys } from '../../src/proxy/cancel.js';
import type { Frontend, FrontendEvents } from '../../src/proxy/frontend.js';
import type { After } from '../cluster.js';
import { certificate } from '../fakes/door.js';

export interface ClientDoor {
  readonly port: number;
  readonly frontends: Frontend[];
  readonly requests: Request[];
  /** Why each client left. */
  readonly closes: string[];
}

export interface ClientDoorOptions
  extends Partial<Pick<DoorOptions, 'authorize' | 'serverVersion' | 'defaultDatabase'>> {
  readonly rule?: LoginRule | OperatingError | undefined;
  readonly isEncrypted?: boolean;
  readonly isTlsRequired?: boolean;
  readonly limits?: Partial<DoorOptions['limits']>;
  readonly serve?: (
    frontend: Frontend,
  ) => Pick<FrontendEvents, 'onRequest'> & Partial<Pick<FrontendEvents, 'onDrain'>>;
}

export const password = (text: string): LoginRule => ({ auth: 'scram', password: text, scram: undefined });
const TRUST: LoginRule = { auth: 'trust', password: undefined, scram: undefined };

/** A listening door of the MySQL wing whose clients are served by `serve`, or by the script below. */
export async function openClientDoor(after: After, options: ClientDoorOptions = {}): Promise<ClientDoor> {
  const frontends: Frontend[] = [];
  const requests: Request[] = [];
  const closes: string[] = [];
  const keys = new CancelKeys();
  const authenticator = new Authenticator();
  const isEncrypted = options.isEncrypted === true || options.isTlsRequired === true;
  const accept = createDoor({
    tls: isEncrypted
      ? new ServerTls({
          key: certificate('server.key'),
          cert: certificate('server.crt'),
          clientCa: undefined,
          required: options.isTlsRequired === true,
        })
      : undefined,
    authenticator,
    statementIds: new StatementIds(),
    serverVersion: options.serverVersion,
    defaultDatabase: options.defaultDatabase,
    authorize: options.authorize ?? (() => ('rule' in options ? options.rule : TRUST)),
    announceKey: () => keys.issue(),
    limits: {
      maxStartupBytes: 10_000,
      maxMessageBytes: 64 * 1024 * 1024,
      maxRequestBytes: 64 * 1024 * 1024,
      authTimeoutMs: 5_000,
      ...options.limits,
    },
  });
  const server = createServer({ noDelay: true }, (socket) => {
    accept(socket).then((frontend) => {
      if (frontend === undefined) return;
      frontends.push(frontend);
      const begin = () => {
        const served = options.serve?.(frontend) ?? new Script(frontend);
        frontend.welcome(new Map(), 0, Buffer.alloc(0));
        frontend.attach({
          onCopy: () => {},
          onDrain: () => served.onDrain?.(),
          onClose: (reason) => {
            closes.push(reason);
          },
          onRequest: (request) => {
            requests.push(request);
            served.onRequest(request);
          },
        });
      };
      frontend.onReentry = begin;
      begin();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(async () => {
    for (const frontend of frontends) frontend.end();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, frontends, requests, closes };
}

/** Resolves when `condition` holds; rejects after some seconds. */
export async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 30_000; !condition(); ) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const column = (name: string, typeOid: number = FIELD_TYPE.VAR_STRING): ResultColumn => ({
  name,
  typeOid,
  tableOid: 45,
  columnNumber: 0,
  typeSize: 1024,
  typeModifier: 0,
});

/**
 * A session that answers by rules: `select …` with one row that holds the text, `rows N` with N rows, `fail` with an error, `begin` opens a
 * transaction, anything else with an OK of 3 rows and id 7. Prepared statements give their parameters back, in hexadecimal. Each
 * request is answered in a later turn.
 */
class Script {
  readonly #frontend: Frontend;
  readonly #prepared = new Map<string, PreparedStatement>();
  readonly #requests: Request[] = [];
  #isWorking = false;
  #isInTransaction = false;
  #drained: (() => void) | undefined;

  constructor(frontend: Frontend) {
    this.#frontend = frontend;
  }

  onRequest(request: Request): void {
    this.#requests.push(request);
    if (!this.#isWorking) void this.#work();
  }

  onDrain(): void {
    this.#drained?.();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let request = this.#requests.shift(); request !== undefined; request = this.#requests.shift()) {
      await new Promise((resolve) => setImmediate(resolve));
      try {
        if (request.own !== undefined) {
          this.#frontend.completes();
          this.#frontend.send(request.own);
        }
        for (const step of request.steps) await this.#step(step);
      } catch (thrown) {
        if (!(thrown instanceof OperatingError)) console.error(asError(thrown));
        this.#frontend.sendError(asOperatingError(thrown));
      }
      this.#frontend.sendReady(this.#isInTransaction ? 'open' : 'idle');
    }
    this.#isWorking = false;
  }

  async #step(step: Step): Promise<void> {
    const { answers } = this.#frontend;
    switch (step.type) {
      case 'query':
        for (const sql of step.sql.split(';')) if (sql.trim() !== '') await this.#query(sql.trim());
        return;
      case 'parse':
        if (step.prepared.sql === 'fail') throw new OperatingError('unsupported-syntax', 'no such thing');
        this.#prepared.set(step.prepared.name, step.prepared);
        return;
      case 'describe-statement': {
        const parameterTypes = Array.from({ length: this.#countOf(step.statementName) }, () => 0);
        const columns = parameterTypes.map((_, index) => column(`p${index}`));
        this.#frontend.send(answers.describedStatement(step.statementName, { parameterTypes, columns }));
        return;
      }
      case 'bind': {
        const { parameters } = step;
        const indexes = Array.from({ length: parameters.count }, (_, index) => index);
        this.#frontend.send(
          answers.rowDescription(
            indexes.map((index) => column(`p${index}`)),
            [1],
          ),
        );
        const texts = indexes.map((index) => {
          const bytes = parameters.bytes(index);
          return bytes && Buffer.from(`${parameters.typeOid(index).toString(16)}:${bytes.toString('hex')}`);
        });
        this.#frontend.send(answers.dataRow(texts));
        return this.#complete('SELECT 1');
      }
      case 'reset-session':
        this.#prepared.clear();
        this.#isInTransaction = false;
        return this.#complete('RESET');
      default:
        return;
    }
  }

  #countOf(name: string): number {
    return (this.#prepared.get(name)?.sql.match(/\?/g) ?? []).length;
  }

  async #query(sql: string): Promise<void> {
    const { answers } = this.#frontend;
    const rows = /^rows (\d+)/i.exec(sql);
    if (/^fail/i.test(sql)) throw new OperatingError('unsupported', 'it fails', { hint: 'Do not.' });
    if (/^begin/i.test(sql)) this.#isInTransaction = true;
    if (/^commit/i.test(sql)) this.#isInTransaction = false;
    if (!/^(select|show|rows)/i.test(sql)) return this.#complete('OK 3 7 1 Rows matched: 3');
    this.#frontend.send(answers.rowDescription([column('text')], []));
    for (let row = 0; row < Number(rows?.[1] ?? 1); row++) {
      const isFlowing = this.#frontend.send(
        answers.dataRow([Buffer.from(rows === null ? sql : `row ${row}`)]),
      );
      if (isFlowing) continue;
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    return this.#complete('SELECT 1');
  }

  #complete(tag: string): void {
    this.#frontend.completes();
    this.#frontend.send(this.#frontend.answers.commandComplete(tag));
  }
}
