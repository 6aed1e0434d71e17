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
  readonly cancelKeys = new CancelKeys();
  readonly #databases: Databases;
  readonly #user: (name: string) => UserConfig | undefined;
  readonly #log: Logger;
  readonly #sessions = new Set<Session>();
  #nextId = 1;
  /** Authenticated, and waiting for their session. */
  #arriving = 0;
  #isDraining = false;
  #whenEmpty: (() => void) | undefined;

  constructor(databases: Databases, user: (name: string) => UserConfig | undefined, log: Logger) {
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
    if (this.#sessions.size + this.#arriving < maxClients) return undefined;
    return new OperatingError('too-many-clients', `sorry, too many clients already: ${maxClients}`, {
      hint: 'The limit is limits.max_clients.',
    });
  }

  /** Gives an authenticated client its session, or tells it why not. */
  async admit(frontend: Frontend): Promise<void> {
    this.#arriving++;
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
    const deadline = setTimeout(() => {
      for (const session of this.#sessions) session.end(reason);
    }, drainMs);
    await empty;
    clearInterval(again);
    clearTimeout(deadline);
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
    return { user: undefined, password: undefined };
  }
}
