import { ConfigError } from '../config/mistakes.js';
import { asOperatingError, OperatingError } from '../lib/errors.js';
import type { ResultColumn, TransactionStatus } from '../pool/backend.js';
import type { Request, Step } from '../pool/request.js';
import type { Frontend, FrontendEvents } from '../proxy/frontend.js';
import type { Cell, Column, ColumnType, CommandContext, Row } from './command.js';
import { parseCommand } from './parse-command.js';
import { consoleParameters, smallTalk } from './small-talk.js';
import { splitCommands } from './split-commands.js';

/** The databases of the control port; existing exporters ask for `pgbouncer`. */
const DATABASE_NAMES: readonly string[] = ['ringferry', 'pgbouncer'];
const MAX_PREPARED = 1000;

/** One statement, understood: what it answers with, and how to get it. */
interface Understood {
  readonly columns: readonly Column[];
  readonly tag: string;
  run(): Promise<readonly Row[]>;
}

interface Portal {
  readonly understood: Understood | undefined;
  /** Rows not yet sent; undefined before the first Execute. */
  rows: Row[] | undefined;
}

/** Serves one client of the control port: commands in, rows out, one request after another. */
export class ConsoleSession implements FrontendEvents {
  readonly #frontend: Frontend;
  readonly #context: CommandContext;
  readonly #queue: Request[] = [];
  readonly #prepared = new Map<string, string>();
  readonly #portals = new Map<string, Portal>();
  #transaction: TransactionStatus = 'idle';
  #isRunning = false;
  #isClosed = false;
  /** After an error in the extended protocol: everything up to Sync is skipped. */
  #isSkipping = false;
  #drained: (() => void) | undefined;

  constructor(frontend: Frontend, context: CommandContext) {
    this.#frontend = frontend;
    this.#context = context;
  }

  /** Welcomes the client, or sends it away when it asks for a database that is not here. */
  start(): void {
    const { database } = this.#frontend.identity;
    if (!DATABASE_NAMES.includes(database)) {
      this.#frontend.end(
        new OperatingError('unknown-database', `the control port has no database "${database}"`, {
          hint: `Connect to the database ringferry here, e.g. psql -p ${this.#context.control.config().listen.admin?.port ?? 6433} ringferry; your data is on the other port.`,
        }),
      );
      return;
    }
    this.#frontend.attach(this);
    // There is nothing to cancel here, so the key opens nothing.
    this.#frontend.welcome(consoleParameters(this.#context.control.version), 0, Buffer.alloc(4));
  }

  onRequest(request: Request): void {
    this.#queue.push(request);
    if (!this.#isRunning) void this.#run();
  }

  onCopy(): void {
    // No command takes COPY data; the protocol lets a server ignore it outside COPY.
  }

  onDrain(): void {
    this.#drained?.();
  }

  onClose(): void {
    this.#isClosed = true;
    this.#queue.length = 0;
    this.#drained?.();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    this.#frontend.pause();
    for (
      let request = this.#queue.shift();
      request !== undefined && !this.#isClosed;
      request = this.#queue.shift()
    ) {
      await this.#serve(request);
    }
    this.#isRunning = false;
    if (!this.#isClosed) this.#frontend.resume();
  }

  async #serve(request: Request): Promise<void> {
    for (const step of request.steps) {
      if (this.#isSkipping) break;
      try {
        await this.#step(step);
      } catch (thrown) {
        if (this.#isClosed) return;
        this.#frontend.sendError(asConsoleError(thrown));
        if (this.#transaction === 'open') this.#transaction = 'failed';
        this.#isSkipping = request.end !== 'query';
        break;
      }
    }
    if (request.end === 'flush' || this.#isClosed) return;
    this.#isSkipping = false;
    this.#frontend.sendReady(this.#transaction);
  }

  async #step(step: Step): Promise<void> {
    const { answers } = this.#frontend;
    switch (step.type) {
      case 'query':
        return this.#query(step.sql);
      case 'parse':
        if (step.prepared.parameterTypes.length > 0) throw noParameters();
        if (this.#prepared.size >= MAX_PREPARED)
          throw new OperatingError('limit-exceeded', `more than ${MAX_PREPARED} prepared statements`);
        this.#understand(step.prepared.sql);
        this.#prepared.set(step.prepared.name, step.prepared.sql);
        this.#frontend.send(answers.parseComplete());
        return;
      case 'bind':
        if (step.parameters.count > 0) throw noParameters();
        if (step.resultFormats.includes(1))
          throw new OperatingError('unsupported', 'the control port sends results as text', {
            hint: 'Ask for text results, or use simple queries.',
          });
        this.#portals.set(step.portal, {
          understood: this.#understand(this.#sqlOf(step.statementName)),
          rows: undefined,
        });
        this.#frontend.send(answers.bindComplete());
        return;
      case 'describe-statement': {
        const columns = this.#understand(this.#sqlOf(step.statementName))?.columns ?? [];
        const described = columns.length === 0 ? undefined : columns.map(wireColumn);
        this.#frontend.send(
          answers.describedStatement(step.statementName, { parameterTypes: [], columns: described }),
        );
        return;
      }
      case 'describe-portal':
        return this.#describe(this.#portalOf(step.portal).understood);
      case 'execute':
        return this.#execute(this.#portalOf(step.portal), step.maxRows);
      case 'close-statement':
        this.#prepared.delete(step.statementName);
        this.#frontend.send(answers.closeComplete());
        return;
      case 'close-portal':
        this.#portals.delete(step.portal);
        this.#frontend.send(answers.closeComplete());
        return;
      default:
        throw new OperatingError('unsupported', 'the control port has no function calls', {
          hint: 'SHOW HELP lists its commands.',
        });
    }
  }

  async #query(sql: string): Promise<void> {
    const statements = splitCommands(sql);
    if (statements.length === 0) this.#frontend.send(this.#frontend.answers.emptyQuery());
    for (const statement of statements) {
      const understood = this.#understand(statement)!;
      const rows = await understood.run();
      if (understood.columns.length > 0) this.#describe(understood);
      await this.#sendRows(understood, rows);
      this.#frontend.send(this.#frontend.answers.commandComplete(understood.tag));
    }
  }

  async #execute(portal: Portal, maxRows: number): Promise<void> {
    const { understood } = portal;
    const { answers } = this.#frontend;
    if (understood === undefined) {
      this.#frontend.send(answers.emptyQuery());
      return;
    }
    portal.rows ??= [...(await understood.run())];
    const now = maxRows > 0 ? portal.rows.splice(0, maxRows) : portal.rows.splice(0);
    await this.#sendRows(understood, now);
    this.#frontend.send(
      portal.rows.length > 0 ? answers.portalSuspended() : answers.commandComplete(understood.tag),
    );
  }

  /** Finds out what a statement is without running it; undefined when it is empty. */
  #understand(sql: string): Understood | undefined {
    const [statement, ...more] = splitCommands(sql);
    if (statement === undefined) return undefined;
    if (more.length > 0)
      throw new OperatingError(
        'unsupported-syntax',
        'cannot insert multiple commands into a prepared statement',
      );
    const { control } = this.#context;
    const talk = smallTalk(statement, control.version);
    if (talk !== undefined) {
      const { columns, tag, rows, transaction } = talk;
      const run = async () => {
        if (transaction !== undefined) this.#transaction = transaction;
        return rows;
      };
      return { columns, tag, run };
    }
    const { command, given } = parseCommand(statement);
    const tag = command.words.replace(/^(SHOW|EXPLAIN|MIGRATE)\b.*/, '$1');
    const run = async () => {
      await control.gather('everything');
      return command.run(this.#context, given);
    };
    return { columns: command.columns, tag, run };
  }

  #describe(understood: Understood | undefined): void {
    const { answers } = this.#frontend;
    const hasRows = understood !== undefined && understood.columns.length > 0;
    this.#frontend.send(
      hasRows ? answers.rowDescription(understood.columns.map(wireColumn), []) : answers.noData(),
    );
  }

  async #sendRows(understood: Understood, rows: readonly Row[]): Promise<void> {
    if (understood.columns.length === 0) return;
    for (const row of rows) {
      const isReady = this.#frontend.send(this.#frontend.answers.dataRow(row.map(wireCell)));
      if (isReady || this.#isClosed) continue;
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
  }

  #sqlOf(name: string): string {
    const sql = this.#prepared.get(name);
    if (sql === undefined)
      throw new OperatingError('unknown-prepared-statement', `prepared statement "${name}" does not exist`);
    return sql;
  }

  #portalOf(name: string): Portal {
    const portal = this.#portals.get(name);
    if (portal === undefined) throw new OperatingError('unknown-portal', `portal "${name}" does not exist`);
    return portal;
  }
}

function noParameters(): OperatingError {
  return new OperatingError('unsupported', 'commands of the control port take no parameters', {
    hint: 'Write the values into the command.',
  });
}

function asConsoleError(thrown: unknown): OperatingError {
  if (thrown instanceof ConfigError)
    return new OperatingError('configuration', thrown.message, {
      cause: thrown,
      hint: 'The configuration before stays in force.',
    });
  return asOperatingError(thrown);
}

const WIRE_TYPES: Readonly<Record<ColumnType, { readonly typeOid: number; readonly typeSize: number }>> = {
  text: { typeOid: 25, typeSize: -1 },
  int4: { typeOid: 23, typeSize: 4 },
  int8: { typeOid: 20, typeSize: 8 },
  numeric: { typeOid: 1700, typeSize: -1 },
  bool: { typeOid: 16, typeSize: 1 },
};

function wireColumn({ name, type }: Column): ResultColumn {
  return { name, ...WIRE_TYPES[type], tableOid: 0, columnNumber: 0, typeModifier: -1 };
}

function wireCell(cell: Cell): Buffer | undefined {
  if (cell === null) return undefined;
  if (typeof cell === 'boolean') return Buffer.from(cell ? 't' : 'f');
  return Buffer.from(String(cell), 'utf8');
}
