import type { ServerError } from '../pool/backend.js';
import type { PreparedStatement, Request, Step } from '../pool/request.js';
import type { ParameterValues } from '../routing/plan.js';
import { COM } from './capabilities.js';
import { ASK_STATUS, encodeExecute, encodePrepare, encodeQuery, encodeStatementClose } from './commands.js';
import { type Act, type Effects, ownError } from './exchange.js';
import { encodePacket, payloadOf } from './packets.js';
import { encodePrepareOk } from './result-messages.js';
import type { ServerStatements } from './server-statements.js';

/** What acts must know of the connection on which they run. */
export interface ActingBackend {
  /** The settings of the session on it: the same text means something else under others. */
  readonly settings: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Statements that begin a transaction: they change nothing that a prepared statement's meaning hangs on. */
const BEGINS = /^\s*(begin|start\s+transaction|xa\s+start|xa\s+begin)\b/i;
const XA_BEGINS = /^\s*xa\s+(start|begin)\b/i;
/** A MySQL of today gives a prepared transaction to nobody (xa_detach_on_prepare); its flags tell that it is over here. */
const XA_ENDS = /\bxa\s+(commit|prepare|rollback)\b/i;
/** Texts that cannot swallow what stands behind them. */
const JOINABLE = /^(?:(?!--)[^;#])*$/;
/** Texts that cannot begin or end a transaction and then fail without our seeing it. */
const PLAIN =
  /^\s*(select|insert|update|delete|replace|show|set|create|alter|drop|with|truncate|table|values)\b/i;

/** Asks for the status flags. */
export const ASK: Act = {
  kind: 'status',
  own: Number.POSITIVE_INFINITY,
  waits: false,
  write: () => ASK_STATUS,
};

/**
 * The acts of one exchange: a client's steps or our own statement, under the statement ids of this backend, and what
 * must be put before them. A server runs every command that it reads, whatever became of the one before: statements whose failure
 * must stop the next one go in one text with it (a server stops there at the first error), or the next one waits.
 */
export class RequestActs implements Effects {
  readonly acts: Act[] = [];
  /** Answered without the server. */
  refusal: ServerError | undefined;
  isDoubtful = false;
  beginsXa = false;
  endsXa = false;
  /** Statements to close; goes before the acts and has no answer. */
  readonly closing: Buffer[] = [];
  readonly #statements: ServerStatements;
  readonly #backend: ActingBackend;
  #before: readonly string[];

  constructor(statements: ServerStatements, backend: ActingBackend, before: readonly string[] = []) {
    this.#statements = statements;
    this.#backend = backend;
    this.#before = before;
    this.beginsXa = before.some((text) => XA_BEGINS.test(text));
    for (const id of statements.takeSurplus()) this.closing.push(encodeStatementClose(id));
  }

  /** A client's request. `rename`: statements that equal texts share, made here when they are missing; else the session's own. */
  request(request: Request, rename: boolean): void {
    let bound: Extract<Step, { type: 'bind' }> | undefined;
    for (const step of request.steps) {
      if (step.type === 'query') this.query(step.sql, step.frame);
      else if (step.type === 'parse') this.#parse(step.prepared, rename);
      else if (step.type === 'bind') bound = step;
      else if (step.type === 'execute' && bound !== undefined) this.#execute(bound, rename);
      else if (step.type === 'close-statement') this.#close(step.statementName, rename);
      else if (step.type === 'reset-session') this.#resetSession(step.frame);
      else if (step.type !== 'describe-statement')
        this.refusal = ownError(1047, '08S01', `${step.type} is not possible here`);
    }
  }

  /** A text of one statement or several. `frame`: the packet in which the client said it, in its own character set. */
  query(sql: string, frame = encodeQuery(sql)): void {
    if (!PLAIN.test(sql)) {
      this.isDoubtful = true;
      this.beginsXa ||= XA_BEGINS.test(sql);
      this.endsXa = XA_ENDS.test(sql);
    }
    const before = this.#before;
    if (before.length === 0 || !before.every((text) => JOINABLE.test(text))) {
      this.#sayBefore();
      this.acts.push({ kind: 'results', own: 0, waits: this.acts.length > 0, write: () => frame });
      return;
    }
    this.#before = [];
    const joined = Buffer.concat([Buffer.from(`${before.join(';')};`), payloadOf(frame).subarray(1)]);
    this.acts.push({
      kind: 'results',
      own: before.length,
      waits: this.acts.length > 0,
      write: () => encodeQuery(joined),
    });
  }

  /** Our own statement with parameters, prepared once and kept. */
  executeText(sql: string, parameters: ParameterValues | undefined): void {
    this.isDoubtful = !PLAIN.test(sql);
    const key = `text ${this.#backend.settings}\n${sql}`;
    this.#ensure(key, sql, true);
    this.#executeKey(key, parameters);
  }

  /** Makes a process-wide statement anew, for its description. */
  describe(prepared: PreparedStatement): void {
    this.#prepare(this.#sharedKey(prepared), textOf(prepared), true, { own: 0 });
  }

  /** Makes a process-wide statement that nobody uses yet. */
  makeShared(prepared: PreparedStatement): void {
    this.#ensure(this.#sharedKey(prepared), textOf(prepared), true);
  }

  /** A command whose answer is one OK or EOF, or results that nobody wants. */
  own(kind: Act['kind'], command: Buffer, waits = false): void {
    this.acts.push({ kind, own: Number.POSITIVE_INFINITY, waits, write: () => command });
  }

  /** What was to be said before, where it has not gone with the first statement. */
  #sayBefore(): void {
    const before = this.#before;
    this.#before = [];
    if (before.length === 0) return;
    const texts = before.every((text) => JOINABLE.test(text)) ? [before.join(';')] : before;
    for (const text of texts) this.own('results', encodeQuery(text), this.acts.length > 0);
  }

  #parse(prepared: PreparedStatement, rename: boolean): void {
    const key = rename ? this.#sharedKey(prepared) : ownKey(prepared.name);
    this.#prepare(key, textOf(prepared), rename, { own: 0, clientId: Number(prepared.name) });
  }

  #execute(bound: Extract<Step, { type: 'bind' }>, rename: boolean): void {
    const { prepared, statementName, parameters } = bound;
    this.isDoubtful = prepared === undefined || !PLAIN.test(prepared.sql);
    const key = rename && prepared !== undefined ? this.#sharedKey(prepared) : ownKey(statementName);
    if (prepared !== undefined) this.#ensure(key, textOf(prepared), rename);
    else if (this.#statements.find(key) === undefined) {
      this.refusal = ownError(
        1243,
        'HY000',
        `Unknown prepared statement handler (${statementName}) given to EXECUTE`,
      );
      return;
    }
    this.#executeKey(key, parameters);
  }

  #executeKey(key: string, parameters: ParameterValues | undefined): void {
    if (parameters?.sets !== undefined && this.#backend.parameters.get('bulk') !== '1') {
      this.refusal = noBulk();
      return;
    }
    this.#sayBefore();
    this.acts.push({
      kind: 'results',
      own: 0,
      waits: true,
      write: () => encodeExecute(this.#statements.find(key)!, parameters),
    });
  }

  #ensure(key: string, text: string | Buffer, isShared: boolean): void {
    if (this.#statements.find(key) === undefined)
      this.#prepare(key, text, isShared, { own: Number.POSITIVE_INFINITY });
  }

  /** `clientId`: the client hears this id instead of the server's. */
  #prepare(
    key: string,
    text: string | Buffer,
    isShared: boolean,
    { own, clientId }: { readonly own: number; readonly clientId?: number },
  ): void {
    this.#closeKey(key);
    const mayWait = !this.#before.every((sql) => BEGINS.test(sql));
    this.#sayBefore();
    this.acts.push({
      kind: 'prepare',
      own,
      waits: mayWait,
      write: () => encodePrepare(text),
      onPrepared: (ok) => {
        this.#statements.add(key, ok.statementId, isShared);
        if (clientId === undefined) return undefined;
        return encodePacket(encodePrepareOk({ ...ok, statementId: clientId }));
      },
    });
  }

  /** Statements that are shared stay for others. */
  #close(statementName: string, rename: boolean): void {
    if (!rename) this.#closeKey(ownKey(statementName));
  }

  #closeKey(key: string): void {
    const id = this.#statements.take(key);
    if (id !== undefined) this.closing.push(encodeStatementClose(id));
  }

  #resetSession(frame: Buffer): void {
    if (frame[4] !== COM.RESET_CONNECTION) {
      this.refusal = ownError(1047, '08S01', 'changing the user is not possible here');
      return;
    }
    this.#statements.clear();
    this.acts.push({ kind: 'status', own: 0, waits: this.acts.length > 0, write: () => frame });
  }

  #sharedKey(prepared: PreparedStatement): string {
    return this.#statements.sharedKey(prepared.id, this.#backend.settings);
  }
}

/** Clients who knew that were not offered it; see `offersBulk`. */
function noBulk(): ServerError {
  const message =
    'This server has no bulk execution. Turn it off in the driver (mariadb connector: bulk: false), or set mysql.server_version to what the server is.';
  return ownError(1235, '42000', message);
}

function textOf(prepared: PreparedStatement): string | Buffer {
  return prepared.bytes ?? prepared.sql;
}

function ownKey(statementName: string): string {
  return `own ${statementName}`;
}
