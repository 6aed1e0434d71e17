import { type OperatingError, unsupported } from '../lib/errors.js';
import type { Backend, ServerError } from '../pool/backend.js';
import type { ParameterValues, PlannedStatement } from '../routing/plan.js';
import type { Dialect, SessionLeft, StatementEnd } from './dialect.js';
import type { Frontend } from './frontend.js';

/** How statements ended on one backend. */
interface Ended {
  readonly backend: Backend;
  readonly tags: readonly (string | undefined)[];
}

const NOTHING: readonly string[] = [];

type Statement = Pick<PlannedStatement, 'plan' | 'sql'>;

/** What a session's statements leave for its later ones to ask (`LAST_INSERT_ID()`, SHOW WARNINGS), although each may run on another backend. */
export class SessionMemory {
  readonly #dialect: Dialect;
  #left: SessionLeft | undefined;
  /** Before the ends that were noted last. */
  #leftBefore: SessionLeft | undefined;
  /** undefined: there are some, and nobody can tell them any more. */
  #warnings: readonly (readonly (string | null)[])[] | undefined = [];

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** Has the engine statements that ask for what earlier ones left? Where not, nothing needs to be noted on the way of every statement. */
  get isAsked(): boolean {
    return this.#dialect.warnings !== undefined;
  }

  /** Notes how a statement ended; `statement` undefined: one of several, and it is not known which. */
  note(tag: string, statement: Statement | undefined): void {
    this.#noteEnd(tag, statement);
  }

  /** Notes the ends of several statements in one request, in order. */
  noteAll(tags: readonly string[], statements: readonly Statement[]): void {
    this.#leftBefore = this.#left;
    const isEachKnown = tags.length === statements.length;
    for (let index = 0; index < tags.length; index++)
      this.#noteEnd(tags[index], isEachKnown ? statements[index] : undefined);
  }

  /** Statements ended well, and there is nothing to ask their backend for and nothing of earlier ones to forget. */
  isQuiet(
    tags: readonly string[],
    statements: readonly Statement[],
    parameters: ParameterValues | undefined,
  ): boolean {
    if (this.#warnings?.length !== 0 || this.isToBeAsked(tags.at(-1))) return false;
    return this.#questionOf(endsOf(tags, statements, parameters)) === undefined;
  }

  /** Notes the ends that were noted last once more where the backend, which is asked, says that a number was not its own. */
  async noteNumbers(
    backend: Backend,
    tags: readonly string[],
    statements: readonly Statement[],
    parameters: ParameterValues | undefined,
  ): Promise<void> {
    const told = await this.withNumbersOf(backend, tags, statements, parameters);
    if (told === tags) return;
    this.#left = this.#leftBefore;
    this.noteAll(told, statements);
  }

  /** The ends as later statements may ask for them: whose number the client may have given, the backend is asked. */
  async withNumbersOf(
    backend: Backend,
    tags: readonly string[],
    statements: readonly Statement[],
    parameters: ParameterValues | undefined,
  ): Promise<readonly string[]> {
    const ends = endsOf(tags, statements, parameters);
    const question = this.#questionOf(ends);
    if (question === undefined || backend.isBroken) return tags;
    const answer = (await backend.rows(question))[0]?.[0];
    if (typeof answer !== 'string') return tags;
    return ends.map((end) => this.#dialect.tagAsAnswered(end, answer));
  }

  #questionOf(ends: readonly StatementEnd[]): string | undefined {
    for (const end of ends) {
      const question = this.#dialect.askedOfNumber(end);
      if (question !== undefined) return question;
    }
    return undefined;
  }

  /** A statement has failed. */
  noteFailure(statement: Statement | undefined): void {
    this.#noteEnd(undefined, statement);
  }

  /** A statement has failed here and not at a server. */
  noteRefusal(error: OperatingError): void {
    this.noteFailure(undefined);
    const { warnings } = this.#dialect;
    if (warnings !== undefined) this.#warnings = [warnings.ofRefusal(error)];
  }

  #noteEnd(tag: string | undefined, statement: Statement | undefined): void {
    this.#left = this.#dialect.remembered(this.#left, endOf(tag, statement));
  }

  /** Asks the backends, which have not been given back yet, for what they warned of; `statement`: the last that they ran, where it may leave all as it was. */
  async noteWarnings(
    ended: readonly Ended[],
    error: ServerError | undefined,
    statement?: Statement,
  ): Promise<void> {
    const { warnings } = this.#dialect;
    if (warnings === undefined) return;
    const isQuiet = error === undefined && !ended.some(({ tags }) => this.isToBeAsked(tags.at(-1)));
    if (isQuiet && this.#warnings?.length === 0) return;
    if (error === undefined && statement !== undefined)
      if (warnings.staysBehind(endOf(ended[0]?.tags.at(-1), statement))) return;
    let found = error === undefined ? [] : [warnings.ofError(error)];
    this.#warnings = found;
    if (error !== undefined) return;
    for (const { backend, tags } of ended) {
      const last = tags.at(-1);
      if (!this.isToBeAsked(last) || backend.isBroken) continue;
      found = [...found, ...(await backend.rows(warnings.sql))];
      this.#warnings = found;
    }
  }

  /** Would its backend have to be asked for what a statement that ended so has warned of? */
  isToBeAsked(tag: string | undefined): boolean {
    return tag !== undefined && this.#dialect.warnings?.isDue(tag) === true;
  }

  /**
   * Notes how a read ended whose backend cannot be asked, because others stood behind it. Whoever runs it has looked at `isToBeAsked`; where that was too
   * late, what it warned of cannot be told.
   */
  noteShared(tag: string | undefined, statement: Statement, error: ServerError | undefined): void {
    this.#noteEnd(error === undefined ? tag : undefined, statement);
    const { warnings } = this.#dialect;
    if (warnings === undefined) return;
    if (error !== undefined) this.#warnings = [warnings.ofError(error)];
    else if (this.isToBeAsked(tag)) this.#warnings = undefined;
    else if (this.#warnings?.length !== 0 && !warnings.staysBehind(endOf(tag, statement)))
      this.#warnings = [];
  }

  /** Asks the backend on which one statement ran for everything about it that its answer has not told. */
  async noteRest(
    backend: Backend,
    statement: Statement,
    { tags, error }: { readonly tags: readonly string[]; readonly error: ServerError | undefined },
  ): Promise<void> {
    const end = endOf(tags.at(-1), statement);
    const question = error === undefined && !backend.isBroken ? this.#dialect.askedBehind(end) : undefined;
    if (question !== undefined) {
      const answer = (await backend.rows(question))[0]?.[0] ?? undefined;
      this.#left = this.#dialect.remembered(this.#left, { ...end, answer });
    }
    await this.noteWarnings([{ backend, tags }], error, statement);
  }

  clear(): void {
    this.#left = undefined;
    this.#warnings = [];
  }

  /** Tells the client what the statement asks of earlier ones, where that is all that it asks and it is known here. */
  answers({ plan, sql }: Statement, frontend: Frontend, resultFormats: readonly number[] = []): boolean {
    if (plan.usesSessionState === undefined) return false;
    const isBinary = resultFormats[0] === 1;
    const answer = this.#dialect.tellState(
      sql,
      this.#left,
      this.#warnings,
      isBinary,
      frontend.announcedKey?.processId,
    );
    if (answer === undefined) return false;
    this.#left = answer.left;
    frontend.send(frontend.answers.rowDescription(answer.columns, resultFormats));
    for (const row of answer.rows) frontend.send(frontend.answers.dataRow(row));
    frontend.completes();
    frontend.send(frontend.answers.commandComplete(`SELECT ${answer.rows.length}`));
    return true;
  }

  /**
   * Statements to say to each of so many backends so that it answers as if it had run what this session ran; one that it is pinned to from now
   * on must, too.
   */
  recall({ plan, sql }: Statement, backends = 1): readonly string[] {
    const { usesSessionState, session } = plan;
    const needsNumber = session?.type === 'pin' || this.#dialect.mayKeepNumber(sql);
    const state = usesSessionState ?? (needsNumber ? 'last-insert-id' : undefined);
    if (state === undefined) return NOTHING;
    if (state === 'given-insert-id' && backends > 1)
      throw unsupported(
        'LAST_INSERT_ID(value) over several shards, each of which would keep another value',
        'Give the shard key one value, or keep the value in the application.',
      );
    const statements = this.#dialect.recall(state, this.#left);
    if (statements !== undefined) return statements;
    throw unsupported(
      `asking for the ${state.replace('-', ' ')} of an earlier statement, which may have run on another connection`,
      'Ask for it by itself (SELECT ROW_COUNT()), use what the driver tells of each statement, or set pool.mode to session.',
    );
  }
}

type ToldEnd = StatementEnd & { readonly tag: string };

/** With the values of an execution, which is of one statement. */
function endsOf(
  tags: readonly string[],
  statements: readonly Statement[],
  parameters: ParameterValues | undefined,
): ToldEnd[] {
  const isEachKnown = tags.length === statements.length;
  return tags.map((tag, index) => {
    const statement = isEachKnown ? statements[index] : undefined;
    return { tag, verb: statement?.plan.verb ?? '', sql: statement?.sql ?? '', parameters };
  });
}

function endOf(tag: string | undefined, statement: Statement | undefined): StatementEnd {
  return { tag, verb: statement?.plan.verb ?? '', sql: statement?.sql ?? '' };
}
