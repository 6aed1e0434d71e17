import type { OperatingError } from '../../src/lib/errors.js';
import type { ResultColumn, RowFields, TransactionStatus } from '../../src/pool/backend.js';
import type { Request, Step } from '../../src/pool/request.js';
import type { Answers, ClientIdentity, Frontend, FrontendEvents } from '../../src/proxy/frontend.js';

/** A client without a wire: answers are written down as lines of text. */
export class FakeFrontend implements Frontend {
  readonly identity: ClientIdentity;
  readonly remoteAddress = '127.0.0.1:5000';
  readonly localAddress = '127.0.0.1';
  readonly localPort = 6433;
  readonly isEncrypted = false;
  readonly lines: string[] = [];
  readonly receivedBytes = 0;
  readonly sentBytes = 0;
  readonly allowsSeveralStatements = true;
  readonly answers = textAnswers;
  events: FrontendEvents | undefined;
  isSlow = false;
  #woken: (() => void) | undefined;

  constructor(database = 'ringferry') {
    this.identity = { user: 'ops', database, startup: new Map(), password: undefined };
  }

  send(chunk: Buffer): boolean {
    this.#write(chunk.toString());
    return !this.isSlow;
  }

  sendError(error: OperatingError): boolean {
    this.#write(`error ${error.sqlstate} ${error.message} | ${error.hint ?? ''}`);
    return true;
  }

  completes(): void {}

  sendReady(status: TransactionStatus): boolean {
    this.#write(`ready ${status}`);
    return true;
  }

  welcome(): void {
    this.#write('welcome');
  }

  attach(events: FrontendEvents): void {
    this.events = events;
  }

  pause(): void {}
  resume(): void {}

  end(error?: OperatingError): void {
    this.#write(`end ${error?.sqlstate ?? ''} ${error?.message ?? ''} | ${error?.hint ?? ''}`);
  }

  /** Sends a request and gives back everything that was answered up to ready. */
  async ask(end: Request['end'], ...steps: Partial<Step>[]): Promise<string[]> {
    const from = this.lines.length;
    const whole = steps.map((step) => ({ frame: Buffer.alloc(0), ...step }) as Step);
    this.events!.onRequest({ steps: whole, end, byteLength: 0 });
    while (!this.lines.slice(from).some((line) => line.startsWith('ready'))) await this.#next();
    return this.lines.slice(from);
  }

  query(sql: string): Promise<string[]> {
    return this.ask('query', { type: 'query', sql });
  }

  #write(line: string): void {
    this.lines.push(line);
    this.#woken?.();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#woken = resolve;
    });
  }
}

const text = (...words: readonly unknown[]): Buffer => Buffer.from(words.join(' '));

const textAnswers: Answers = {
  parseComplete: () => text('parsed'),
  bindComplete: () => text('bound'),
  closeComplete: () => text('closed'),
  noData: () => text('no data'),
  portalSuspended: () => text('suspended'),
  emptyQuery: () => text('empty'),
  commandComplete: (tag) => text('done', tag),
  describesEveryResult: false,
  describedStatement: (_name, { parameterTypes, columns }) =>
    text(
      'parameters',
      parameterTypes.length,
      ...(columns ?? []).map(({ name, typeOid }) => `${name}:${typeOid}`),
    ),
  rowDescription: (columns: readonly ResultColumn[]) =>
    text('columns', ...columns.map(({ name, typeOid }) => `${name}:${typeOid}`)),
  dataRow: (fields: RowFields) => text('row', ...fields.map((field) => field?.toString() ?? 'NULL')),
  parameterStatus: (name, value) => text('parameter', name, value),
  error: (error) => text('error', error.message),
  notice: (message) => text('notice', message),
  copyInResponse: () => text('copy in'),
  copyOutResponse: () => text('copy out'),
  copyData: () => text('copy data'),
  copyDone: () => text('copy done'),
};
