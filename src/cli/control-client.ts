import type pg from 'pg';
import { CommandFailure } from './io.js';
import { type Target, targetName } from './target.js';

export type Cell = string | number | boolean | null;
export type Row = Readonly<Record<string, Cell>>;

/** What a command answered. */
export interface Answer {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** As the server names what it did: `SHOW`, `PAUSE` … */
  readonly tag: string;
}

const CONNECT_TIMEOUT_MS = 5000;

/** A connection to the control port. Every failure says what to do. */
export class ControlClient {
  readonly #client: pg.Client;
  readonly #target: Target;
  #lost: Error | undefined;

  private constructor(client: pg.Client, target: Target) {
    this.#client = client;
    this.#target = target;
    client.on('error', (error) => {
      this.#lost = error;
    });
  }

  static async connect(target: Target): Promise<ControlClient> {
    const { host, port } = target.address;
    // Only here: `serve` asks nobody, and need not wait for it to load.
    const { Client } = (await import('pg')).default;
    const client = new Client({
      host,
      port,
      user: 'ringferry',
      database: 'ringferry',
      password: target.password ?? '',
      ssl: false,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      // The types are read below, by the columns' own types.
      types: { getTypeParser: () => (value: string) => value },
    });
    const control = new ControlClient(client, target);
    try {
      await client.connect();
      const [first] = await control.run('SHOW VERSION');
      if (!String(first?.rows[0]?.['version'] ?? '').startsWith('Ringferry'))
        throw new Error('this is not Ringferry');
    } catch (error) {
      await client.end().catch(() => {});
      throw connectFailure(target, error);
    }
    return control;
  }

  /** Runs a text of one or more commands. */
  async run(text: string): Promise<Answer[]> {
    try {
      const result: pg.QueryResult | pg.QueryResult[] = await this.#client.query(text);
      return (Array.isArray(result) ? result : [result]).map(toAnswer);
    } catch (error) {
      if (isRefusal(error)) throw new CommandFailure(error.message, error.hint, { cause: error });
      const cause = this.#lost ?? (error as Error);
      throw new ConnectionLost(
        `the connection to ${targetName(this.#target)} was lost: ${cause.message}`,
        'Is the server still running?',
        { cause },
      );
    }
  }

  /** The rows of one command. */
  async rows(command: string): Promise<readonly Row[]> {
    return (await this.run(command))[0]?.rows ?? [];
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}

/** The server went away in the middle; a watch may try again. */
export class ConnectionLost extends CommandFailure {}

/** Runs `work` with a connection and closes it. */
export async function withControl<Result>(
  target: Target,
  work: (client: ControlClient) => Promise<Result>,
): Promise<Result> {
  const client = await ControlClient.connect(target);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** The server itself has answered with an error. */
function isRefusal(error: unknown): error is pg.DatabaseError {
  return error instanceof Error && 'severity' in error;
}

/** A value as it is written in a command. */
export function quoted(value: string): string {
  return /^[\w.:/@-]+$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`;
}

const NUMBER_OIDS: ReadonlySet<number> = new Set([20, 23, 1700]);
const BOOL_OID = 16;

function toAnswer(result: pg.QueryResult): Answer {
  const rows = (result.rows as Record<string, string | null>[]).map((row) =>
    Object.fromEntries(
      result.fields.map((field) => [field.name, toCell(row[field.name] ?? null, field.dataTypeID)]),
    ),
  );
  return { columns: result.fields.map((field) => field.name), rows, tag: result.command };
}

function toCell(text: string | null, typeOid: number): Cell {
  if (text === null) return null;
  if (typeOid === BOOL_OID) return text === 't';
  // Tokens do not fit in a number: they stay text.
  return NUMBER_OIDS.has(typeOid) && Math.abs(Number(text)) <= Number.MAX_SAFE_INTEGER ? Number(text) : text;
}

function connectFailure(target: Target, error: unknown): CommandFailure {
  const name = targetName(target);
  const other = 'Say where the control port is with --admin HOST:PORT, or with -c FILE (listen.admin).';
  if (error instanceof ConnectionLost)
    return new CommandFailure(`${name} does not answer like the control port`, other, { cause: error });
  const { code, message } = (
    error instanceof CommandFailure && error.cause instanceof Error ? error.cause : error
  ) as Error & { code?: string };
  if (code === 'ECONNREFUSED')
    return new CommandFailure(
      `nothing listens on ${name}: is Ringferry running?`,
      `Start it with: ringferry serve -c FILE. ${other}`,
      { cause: error },
    );
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return new CommandFailure(`the host ${target.address.host} is not known`, other, { cause: error });
  // node-postgres says the second when it has no password to give.
  const isUnasked = /password must be a/.test(message);
  if (code === '28P01' || code === '28000' || isUnasked) {
    return new CommandFailure(
      isUnasked ? `${name} wants a password` : `${name} refuses the password`,
      'Set RINGFERRY_ADMIN_PASSWORD, or name the configuration with -c FILE (admin.password). Is it the control port, usually 6433?',
      { cause: error },
    );
  }
  if (/timeout/i.test(message)) return new CommandFailure(`${name} does not answer`, other, { cause: error });
  if (code === 'ECONNRESET' || code === undefined || /^[0-9A-Z]{5}$/.test(code)) {
    return new CommandFailure(
      `${name} is not Ringferry's control port: ${message}`,
      `${other} The control port is usually 6433; 6432 is for applications and 9432 for HTTP.`,
      { cause: error },
    );
  }
  return new CommandFailure(`cannot connect to ${name}: ${message}`, other, { cause: error });
}
