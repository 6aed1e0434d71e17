import { asOperatingError, OperatingError } from '../lib/errors.js';
import type { Backend, TransactionStatus } from '../pool/backend.js';
import { ServerFailure } from '../pool/backend.js';
import type { Request, Step } from '../pool/request.js';
import type { PlannedStatement } from '../routing/plan.js';
import { checkBulk } from '../routing/route-sets.js';
import type { StatementRouter } from '../routing/router.js';
import type { CopySplitter } from './copy-in.js';
import type { Course } from './course.js';
import type { Credentials, Database } from './database.js';
import { describeStatement } from './describe.js';
import { AlreadyAnswered, type SessionContext } from './execution.js';
import type { Frontend } from './frontend.js';
import { SessionLanes } from './lanes.js';
import { type Portal, Portals } from './portals.js';
import { PreparedStatements } from './prepared.js';
import { SessionMemory } from './session-memory.js';
import { SessionSettings } from './settings.js';
import { Sharing } from './sharing.js';
import { StatementRunner } from './statement-runner.js';
import {
  isRelayable,
  parsedIn,
  refuseForeignKey,
  refuseForeignText,
  severalStatements,
  type Unit,
  unitsOf,
} from './steps.js';

/**
 * Serves a client of a sharded database: cuts requests into statements, answers what belongs to the session itself and
 * gives each statement to the runner. Holds the client's names (prepared statements, portals) and the protocol's order.
 */
export class ShardedCourse implements Course {
  readonly #database: Database;
  readonly #frontend: Frontend;
  readonly #statements: PreparedStatements;
  readonly #portals = new Portals();
  readonly #lanes: SessionLanes;
  readonly #settings: SessionSettings;
  readonly #context: SessionContext;
  readonly #runner: StatementRunner;
  readonly #writesUtf8: boolean;
  /** After an error in an extended request everything is skipped up to Sync (PostgreSQL manual 55.2.3). */
  #isSkipping = false;
  /** The Sync that follows COPY data in the extended protocol is answered already. */
  #swallowSyncs = 0;
  #copyBackend: Backend | undefined;
  #copySplitter: CopySplitter | undefined;
  onTakesCopy: (() => void) | undefined;
  onShared: ((mustRun: boolean, nowMs: number) => void) | undefined;
  readonly #sharing: Sharing;

  constructor(database: Database, frontend: Frontend, credentials: Credentials) {
    this.#database = database;
    this.#frontend = frontend;
    this.#statements = new PreparedStatements(database.limits.maxPreparedStatements);
    this.#lanes = new SessionLanes(database, frontend, credentials);
    this.#writesUtf8 = database.dialect.writesUtf8(frontend.identity);
    this.#settings = new SessionSettings(database.dialect, frontend.identity);
    const memory = new SessionMemory(database.dialect);
    this.#context = { database, frontend, lanes: this.#lanes, settings: this.#settings, memory };
    this.#runner = new StatementRunner(this.#context, this.#statements, {
      copyFrom: (backend) => {
        this.#copyBackend = backend;
        if (backend === undefined) return;
        backend.onDrain = () => this.#frontend.resume();
        this.onTakesCopy?.();
      },
      copySplit: (splitter) => {
        this.#copySplitter = splitter;
        if (splitter !== undefined) this.onTakesCopy?.();
      },
      endOfTransaction: () => this.#portals.clear(),
    });
    this.#sharing = new Sharing(this.#context, this.#statements, (mustRun, nowMs) =>
      this.onShared?.(mustRun, nowMs),
    );
  }

  get takesCopy(): boolean {
    return this.#copyBackend !== undefined || this.#copySplitter !== undefined;
  }

  get isInTransaction(): boolean {
    return this.#runner.status !== 'idle';
  }

  get pinReason(): string | undefined {
    return this.#lanes.pinReason;
  }

  get waitingSinceMs(): number | undefined {
    return this.#lanes.waitingSinceMs;
  }

  get preparedStatements(): number {
    return this.#statements.size;
  }

  get servers(): number[] {
    return this.#lanes.servers;
  }

  share(request: Request, nowMs: number): boolean {
    const isBetweenStatements =
      !this.#isSkipping &&
      this.#swallowSyncs === 0 &&
      this.#runner.transaction === undefined &&
      this.#runner.autocommit;
    return isBetweenStatements && this.#sharing.begin(request, nowMs);
  }

  async run(request: Request): Promise<void> {
    if (request.end === 'query') await this.#simple(request);
    else await this.#extended(request);
  }

  onCopy(frame: Buffer, kind: 'data' | 'done' | 'fail'): void {
    if (this.#copySplitter !== undefined) {
      if (!this.#copySplitter.take(frame, kind)) this.#frontend.pause();
      return;
    }
    // Data that comes after the COPY has failed is thrown away (PostgreSQL manual 55.2.6).
    if (this.#copyBackend !== undefined && !this.#copyBackend.sendCopy(frame)) this.#frontend.pause();
  }

  onDrain(): void {
    this.#lanes.resumeAll();
  }

  cancel(): Promise<void> {
    return this.#lanes.cancel();
  }

  abandon(): void {
    const fail = this.#database.dialect.copyFail('the client went away');
    if (this.takesCopy) this.onCopy(fail, 'fail');
    this.#lanes.abandon();
  }

  abort(): void {
    this.#lanes.terminateBusy();
  }

  async close(): Promise<void> {
    await this.#runner.close();
    this.#lanes.unpin();
  }

  async #simple(request: Request): Promise<void> {
    const step = request.steps[0];
    if (step?.type !== 'query') return;
    try {
      refuseForeignText(step.sql, step.frame, this.#writesUtf8);
      const router = await this.#database.router();
      const texts = router.split(step.sql);
      if (texts.length === 0) this.#frontend.send(this.#frontend.answers.emptyQuery());
      else if (texts.length === 1) await this.#simpleStatement(router, texts[0]!, request);
      else await this.#severalStatements(router, texts);
    } catch (thrown) {
      await this.#fail(thrown);
    }
    this.#ready();
  }

  async #simpleStatement(router: StatementRouter, sql: string, request: Request): Promise<void> {
    const planned = this.#plan(router, sql);
    await this.#runner.run({
      planned,
      mode: 'query',
      request,
      prepared: undefined,
      parameters: undefined,
      resultFormats: [],
      maxRows: 0,
    });
  }

  /** Several statements of one Query are one transaction where the engine has it so (PostgreSQL manual 55.2.2.1), unless they say otherwise. */
  async #severalStatements(router: StatementRouter, texts: readonly string[]): Promise<void> {
    if (!this.#frontend.allowsSeveralStatements) throw severalStatements();
    const areOne = this.#database.dialect.manners.severalStatementsAreOne;
    for (const sql of texts) {
      const planned = this.#plan(router, sql);
      if (areOne && planned.plan.transaction === undefined) this.#runner.beginImplicit();
      const frame = this.#database.dialect.queryStep(sql);
      const request: Request = { steps: [frame], end: 'query', byteLength: sql.length };
      await this.#runner.run({
        planned,
        mode: 'query',
        request,
        prepared: undefined,
        parameters: undefined,
        resultFormats: [],
        maxRows: 0,
      });
    }
    await this.#runner.endImplicit();
  }

  async #extended(request: Request): Promise<void> {
    if (this.#swallowSyncs > 0 && request.steps.length === 0 && request.end === 'sync') {
      this.#swallowSyncs--;
      return;
    }
    if (!this.#isSkipping) {
      try {
        await this.#units(request);
        if (request.end === 'sync') await this.#runner.endImplicit();
      } catch (thrown) {
        for (const step of request.steps)
          if (step.type === 'parse') this.#statements.doubt(step.prepared.name);
        await this.#fail(thrown);
        this.#isSkipping = true;
      }
    }
    if (request.end !== 'sync') return;
    this.#isSkipping = false;
    if (this.#runner.tookCopyIn()) this.#swallowSyncs++;
    this.#ready();
  }

  #ready(): void {
    const { status, autocommit } = this.#runner;
    this.#portalsEndWith(status);
    this.#frontend.sendReady(status, autocommit);
  }

  async #units(request: Request): Promise<void> {
    if (request.steps.length === 0) return;
    if (request.steps[0]!.type === 'reset-session') return this.#reset();
    const router = await this.#database.router();
    const units = unitsOf(request.steps);
    const executions = units.filter((unit) => unit.execute !== undefined).length;
    if (executions > 1 || (executions === 1 && request.end === 'flush')) this.#runner.beginImplicit();
    for (const unit of units) await this.#unit(router, unit);
  }

  async #unit(router: StatementRouter, unit: Unit): Promise<void> {
    const portalName = unit.execute?.portal;
    const earlier =
      portalName !== undefined && !unit.steps.some((step) => step.type === 'bind')
        ? this.#portals.get(portalName)
        : undefined;
    const canRelay = isRelayable(unit, earlier?.shard !== undefined);
    // Steps that no backend will answer are answered here, in order.
    for (const step of unit.steps) if (step.type !== 'execute') await this.#note(router, step, !canRelay);
    if (unit.execute === undefined) return;
    const portal = this.#portals.get(unit.execute.portal);
    const request: Request = { steps: unit.steps, end: 'sync', byteLength: 0 };
    try {
      await this.#runner.run({
        planned: portal.planned,
        mode: 'portal',
        request: canRelay ? request : undefined,
        prepared: portal.prepared,
        parameters: portal.parameters,
        resultFormats: portal.resultFormats,
        maxRows: unit.execute.maxRows,
        portal,
        answerLocally: canRelay ? () => this.#answerAll(router, unit.steps, portal) : undefined,
      });
    } catch (thrown) {
      // The server may have refused the Parse itself; then these names do not exist.
      this.#portals.delete(portal.name);
      const parsed = parsedIn(unit);
      if (canRelay && parsed !== undefined) this.#statements.doubt(parsed.name);
      throw thrown;
    }
  }

  async #reset(): Promise<void> {
    await this.#runner.reset();
    this.#frontend.completes();
    this.#frontend.send(this.#frontend.answers.commandComplete('RESET'));
  }

  #plan(router: StatementRouter, sql: string): PlannedStatement {
    const planned = this.#sharing.takePlanned(sql);
    return planned ?? router.plan(sql, this.#settings.searchPath, this.#settings.hint);
  }

  /** Registers what a step makes or drops; `answer`: also tells the client. */
  async #note(router: StatementRouter, step: Step, answer: boolean): Promise<void> {
    if (step.type === 'parse') {
      refuseForeignText(step.prepared.sql, step.prepared.bytes ?? step.frame, this.#writesUtf8);
      if (answer) this.#plan(router, step.prepared.sql);
      this.#statements.add(step.prepared);
    } else if (step.type === 'bind') this.#bind(router, step);
    else if (step.type === 'describe-statement') step.prepared = this.#statements.get(step.statementName);
    else if (step.type === 'close-statement') this.#statements.delete(step.statementName);
    else if (step.type === 'close-portal') this.#portals.delete(step.portal);
    else if (step.type === 'function-call') {
      throw new OperatingError(
        'unsupported',
        'the function call protocol is not supported on a sharded database',
        {
          hint: 'Call the function in a SELECT.',
        },
      );
    }
    if (answer) await this.#answer(router, step);
  }

  #bind(router: StatementRouter, step: Extract<Step, { type: 'bind' }>): void {
    const prepared = this.#statements.get(step.statementName);
    step.prepared = prepared;
    const planned = this.#plan(router, prepared.sql);
    if (step.parameters.sets !== undefined) checkBulk(planned.plan);
    if (!this.#writesUtf8) refuseForeignKey(planned.plan, step.parameters);
    const portal: Portal = {
      name: step.portal,
      prepared,
      planned,
      parameters: step.parameters,
      resultFormats: step.resultFormats,
      shard: undefined,
      isSpent: false,
    };
    this.#portals.add(portal);
  }

  /** `executed`: the portal that the steps run; a COMMIT has ended it with its transaction, but it can still be described. */
  async #answerAll(router: StatementRouter, steps: readonly Step[], executed: Portal): Promise<void> {
    for (const step of steps) await this.#answer(router, step, executed);
  }

  /** What the server would answer to a step that it does not get to see. */
  async #answer(router: StatementRouter, step: Step, executed?: Portal): Promise<void> {
    const { answers } = this.#frontend;
    if (step.type === 'parse') this.#frontend.send(answers.parseComplete());
    else if (step.type === 'bind') this.#frontend.send(answers.bindComplete());
    else if (step.type === 'close-statement' || step.type === 'close-portal')
      this.#frontend.send(answers.closeComplete());
    else if (step.type === 'describe-statement' || step.type === 'describe-portal')
      await this.#describe(router, step, executed);
  }

  async #describe(
    router: StatementRouter,
    step: Extract<Step, { type: 'describe-statement' | 'describe-portal' }>,
    executed: Portal | undefined,
  ): Promise<void> {
    const isExecuted = step.type === 'describe-portal' && executed?.name === step.portal;
    const portal =
      step.type !== 'describe-portal' ? undefined : isExecuted ? executed : this.#portals.get(step.portal);
    const prepared =
      portal?.prepared ?? this.#statements.get((step as { statementName: string }).statementName);
    const planned = portal?.planned ?? this.#plan(router, prepared.sql);
    const description = await describeStatement(this.#context, this.#runner.transaction, prepared, planned);
    const { answers } = this.#frontend;
    if (portal === undefined) {
      this.#frontend.send(answers.describedStatement(prepared.name, description));
      return;
    }
    const { columns } = description;
    this.#frontend.send(
      columns === undefined ? answers.noData() : answers.rowDescription(columns, portal.resultFormats),
    );
  }

  #portalsEndWith(status: TransactionStatus): void {
    if (status === 'idle') this.#portals.clear();
  }

  async #fail(thrown: unknown): Promise<void> {
    await this.#runner.failed();
    if (thrown instanceof AlreadyAnswered || thrown instanceof ServerFailure) {
      this.#context.memory.noteFailure(undefined);
      this.#database.counters.serverErrors++;
    }
    if (thrown instanceof AlreadyAnswered) return;
    if (thrown instanceof ServerFailure) {
      this.#frontend.send(thrown.serverError.frame);
      return;
    }
    const error = asOperatingError(thrown);
    this.#context.memory.noteRefusal(error);
    this.#database.counters.proxyErrors++;
    if (error.code === 'unsupported') this.#database.counters.refused++;
    this.#frontend.sendError(error);
  }
}
