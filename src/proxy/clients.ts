import type { UserConfig } from '../config/config.js';
import { asOperatingError, OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import { CancelKeys } from './cancel.js';
import type { Credentials, Database } from './database.js';
import type { Databases } from './databases.js';
import type { ClientIdentity, Frontend } from './frontend.js';
import { Session } from './session.js';

/** All clients of this process: admits them, counts them, ends them. */
export class Clients {
  readonly cancelKeys: CancelKeys;
  readonly #databases: Databases;
  readonly #user: (name: string) => UserConfig | undefined;
  readonly #log: Logger;
  readonly #sessions = new Set<Session>();
  #nextId = 1;
  /** Authenticated, and waiting for their session. */
  #arriving = 0;
  #isDraining = false;
  #whenEmpty: (() => void) | undefined;

  /** `space`: see CancelKeys. */
  constructor(
    databases: Databases,
    user: (name: string) => UserConfig | undefined,
    log: Logger,
    space?: number,
  ) {
    this.cancelKeys = new CancelKeys(space);
    this.#databases = databases;
    this.#user = user;
    this.#log = log;
  }

  get sessions(): Iterable<Session> {
    return this.#sessions;
  }

  get count(): number {
    return this.#sessions.size;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Why no more clients are taken now; undefined while they are. */
  refusal(maxClients: number): OperatingError | undefined {
    if (this.#isDraining) return new OperatingError('shutting-down', 'Ringferry is shutting down');
    return this.#sessions.size + this.#arriving < maxClients ? undefined : this.fullRefusal(maxClients);
  }

  fullRefusal(maxClients: number): OperatingError {
    return new OperatingError('too-many-clients', `sorry, too many clients already: ${maxClients}`, {
      hint: 'The limit is limits.max_clients.',
    });
  }

  /** Gives an authenticated client its session, or tells it why not. */
  async admit(frontend: Frontend): Promise<void> {
    this.#arriving++;
    frontend.onReentry = () => void this.admit(frontend);
    try {
      if (this.#isDraining) throw new OperatingError('shutting-down', 'Ringferry is shutting down');
      const database = this.#databases.get(frontend.identity.database);
      const session = await Session.open(
        this.#nextId++,
        database,
        frontend,
        this.#credentials(frontend.identity),
        this.cancelKeys,
        this.#log,
        (ended) => this.#forget(ended),
      );
      this.#sessions.add(session);
      if (this.#isDraining) session.end(new OperatingError('shutting-down', 'Ringferry is shutting down'));
    } catch (thrown) {
      frontend.end(asOperatingError(thrown));
    } finally {
      this.#arriving--;
    }
  }

  /** Ends idle clients now and the others when their transaction ends; after `drainMs` ends all. */
  async drain(drainMs: number): Promise<void> {
    this.#isDraining = true;
    const reason = new OperatingError('shutting-down', 'terminating connection: Ringferry is shutting down');
    const endIdle = () => {
      for (const session of this.#sessions) if (session.isIdle) session.end(reason);
    };
    endIdle();
    if (this.#sessions.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    const again = setInterval(endIdle, 20);
    const endAll = () => {
      for (const session of this.#sessions) session.end(reason);
    };
    // A timer of an endless time would fire at once.
    const deadline = Number.isFinite(drainMs) ? setTimeout(endAll, drainMs) : undefined;
    await empty;
    clearInterval(again);
    clearTimeout(deadline);
  }

  /**
   * Ends one session of `user` in this database, or only its statement, by the number that its client was told. Resolves when the servers
   * have heard it. False: there is none here.
   */
  async killById(database: Database, id: number, queryOnly: boolean, user: string): Promise<boolean> {
    const known = [...this.#sessions].filter((session) => session.database === database);
    const session = known.find(({ processId }) => processId === id);
    if (session === undefined) return false;
    if (session.frontend.identity.user !== user)
      throw new OperatingError('authorization-failed', `connection ${id} belongs to another user`);
    if (queryOnly) await session.cancel();
    else session.end(new OperatingError('shutting-down', 'the connection was killed'));
    return true;
  }

  /** Ends all clients of one database. */
  kill(database: Database): void {
    const reason = new OperatingError(
      'shutting-down',
      `database "${database.name}" is being killed by an operator`,
    );
    for (const session of this.#sessions) if (session.database === database) session.end(reason);
  }

  #forget(session: Session): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#whenEmpty?.();
  }

  #credentials(identity: ClientIdentity): Credentials {
    const user = this.#user(identity.user);
    if (user?.backendUser !== undefined) return { user: user.backendUser, password: user.backendPassword };
    const own = { user: identity.user, password: user?.password };
    return { user: undefined, password: undefined, own };
  }
}
