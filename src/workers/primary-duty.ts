import type { Database } from '../proxy/database.js';
import type { DecisionLog } from '../topology/store.js';
import type { Crew } from './crew.js';
import type { ToPrimary } from './messages.js';
import type { WorkerProcess } from './worker-process.js';

export interface PrimaryParts {
  readonly crew: Crew;
  readonly decisions: DecisionLog;
  readonly database: (name: string) => Database | undefined;
  readonly statementsChanged: () => void;
}

/** What the primary does for a worker: its durable log, its migrations' mirrors, and the way to the other workers. */
export function serveWorker(parts: PrimaryParts, worker: WorkerProcess, message: ToPrimary): unknown {
  const { crew, decisions, database } = parts;
  switch (message.type) {
    case 'record-decision':
      return worker.keep(decisions.record(message.gid));
    case 'forget-decision':
      return decisions.forget(message.gid);
    case 'list-decisions':
      return decisions.list();
    case 'await-mirror': {
      const { migration, shard, position } = message;
      return database(message.database)?.topology.mirrorBarrier(migration, shard, position);
    }
    case 'cancel':
    case 'kill-session':
      return crew.askAll(message, worker).then((answers) => answers.includes(true));
    case 'tables-changed':
      return Promise.all([crew.askAll(message, worker), database(message.database)?.reloadTables()]);
    case 'statements-changed':
      parts.statementsChanged();
      return crew.tellAll(message, worker);
    default:
      return undefined;
  }
}
