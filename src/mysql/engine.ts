import { OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import type {
  AppliedStream,
  CopyTask,
  MigrationEngine,
  ShardAddress,
  StreamSpec,
} from '../migration/engine.js';
import { openChangeStream } from './apply.js';
import { actAsApplier } from './apply-target.js';
import { atQuietMoment, dropStart, logPosition, markLog, readStart, storeStart } from './change-source.js';
import { EngineSession } from './engine-session.js';
import { EngineSessions } from './engine-sessions.js';
import { lowerFence, prepareFence, raiseFence } from './fence.js';
import { ensureLedger } from './ledger.js';
import { isPassing } from './passing-errors.js';
import { preflight } from './preflight.js';
import { repairRows } from './repair.js';
import { deleteSelected } from './rows.js';
import { copySchema } from './schema.js';
import { advanceSequences } from './sequences.js';
import { AT_ONCE } from './short-locks.js';
import { estimateRows, openSourceSnapshot } from './source-snapshot.js';
import { noteIdentities } from './table-identity.js';
import { removeTraces } from './traces.js';
import { verifyRows } from './verify.js';

export interface MysqlEngineOptions {
  readonly log?: Pick<Logger, 'info' | 'warn'>;
  /** A stream that is further behind is warned about. Bytes of log. */
  readonly maxLagBytes?: number;
  /** How long a stream whose connections break tries to come back by itself. */
  readonly retryForMs?: number;
}

const RETRY_FOR_MS = 60_000;

/** Migrations between MariaDB servers, version 10.5 or later, or MySQL servers, 8.0 or later, by their binary logs. */
export function createMysqlEngine(options: MysqlEngineOptions = {}): MigrationEngine {
  const sessions = new EngineSessions();
  const streams = new Map<string, AppliedStream>();
  const log = (level: 'info' | 'warn', message: string): void => options.log?.[level]({}, message);
  return {
    isPassing,
    preflight,
    copySchema: (model, target, keyspace) => copySchema(model, target, keyspace, log),
    prepareSource: async (source) => {
      await sessions.use(source, ensureLedger);
      return '{}';
    },
    prepareTarget: (target) => sessions.use(target, ensureLedger),
    openSnapshot: (source, migration, targets) =>
      openSourceSnapshot(source, migration, targets, (message) => log('info', message)),
    clearTarget: async (target, tasks) => {
      await asApplier(target, (session) => deleteSelected(session, tasks));
    },
    openStream: async (spec, signal) => {
      const stream = await openChangeStream(
        spec,
        { sessions, log, retryForMs: options.retryForMs ?? RETRY_FOR_MS, maxLagBytes: options.maxLagBytes },
        signal,
      );
      const key = streamKey(spec);
      streams.set(key, stream);
      const forget = (): void => {
        if (streams.get(key) === stream) streams.delete(key);
      };
      stream.ended.then(forget, forget);
      return stream;
    },
    dropStream: (spec) => sessions.use(spec.from, (session) => dropStart(session, spec)),
    prepareReverse: (spec) => prepareReverse(sessions, spec, (message) => log('info', message)),
    currentPosition: (address) => sessions.use(address, logPosition),
    writeMarker: (address, migration) => sessions.use(address, (session) => markLog(session, migration)),
    verify: verifyRows,
    repair: (spec, differences) => repairRows(spec, runningStream(streams, spec), differences),
    estimateRows,
    prepareFence: async (address, migration, tasks, quiet = AT_ONCE) => {
      await sessions.use(address, (session) => prepareFence(session, migration, tasks, quiet));
      await sessions.keepReady(address, migration);
    },
    raiseFence: (address, migration, tasks, deadlineMs) =>
      raiseFence(sessions, address, migration, tasks, deadlineMs),
    lowerKeptFence: (address, migration) => lowerFence(sessions, address, migration),
    advanceSequences: (sources, target, tasks) => advanceSequences(sessions, sources, target, tasks),
    deleteRows: (address, migration, tasks, signal) =>
      asApplier(address, (session) => deleteSelected(session, tasks, signal, migration)),
    removeTraces: async (address, migration, notes, quiet = AT_ONCE) => {
      sessions.release(address, migration);
      await sessions.use(address, (session) => removeTraces(session, migration, notes, quiet));
    },
  };
}

function streamKey(spec: StreamSpec): string {
  return JSON.stringify([spec.migration, spec.direction, spec.from.shard, spec.to.shard]);
}

function runningStream(streams: ReadonlyMap<string, AppliedStream>, spec: StreamSpec): AppliedStream {
  const stream = streams.get(streamKey(spec));
  if (stream !== undefined) return stream;
  throw new OperatingError(
    'migration',
    `rows cannot be repaired while no stream runs from ${spec.from.shard} to ${spec.to.shard}`,
  );
}

/** Runs `work` in a session of its own with foreign keys off and the fence open. */
async function asApplier<T>(address: ShardAddress, work: (session: EngineSession) => Promise<T>): Promise<T> {
  const session = await EngineSession.connect(address);
  try {
    await actAsApplier(session);
    return await work(session);
  } finally {
    await session.close();
  }
}

/** Everything that the stream back needs: where it begins on the new owner, the ledger on the old. A beginning that is noted already stays. */
async function prepareReverse(
  sessions: EngineSessions,
  spec: StreamSpec,
  onWaiting: (message: string) => void,
): Promise<void> {
  const tasks: readonly CopyTask[] = spec.tasks.filter((task) => task.selection.type === 'ranges');
  await sessions.use(spec.to, (session) =>
    noteIdentities(
      session,
      spec.migration,
      tasks.map((task) => task.table),
    ),
  );
  // A session of its own: it changes how long it waits for locks.
  const session = await EngineSession.connect(spec.from);
  try {
    if ((await readStart(session, spec)) === undefined) {
      const progress = await atQuietMoment(session, onWaiting, async (moment) => moment);
      await storeStart(session, { ...spec, to: spec.to.shard }, progress);
    }
  } finally {
    await session.close();
  }
  // Most of it now, so that little is left to do while statements wait.
  await advanceSequences(sessions, [spec.to], spec.from, tasks);
}
