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
import { createSlot, dropSlot, markLog, preparePublication } from './change-source.js';
import { localOriginName, slotName } from './engine-names.js';
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
import { openSourceSnapshot } from './source-snapshot.js';
import { removeTraces } from './traces.js';
import { verifyRows } from './verify.js';

export interface PostgresEngineOptions {
  readonly log?: Pick<Logger, 'info' | 'warn'>;
  /** A stream that is further behind is warned about. Bytes of log. */
  readonly maxLagBytes?: number;
  /** How long a stream whose connections break tries to come back by itself. */
  readonly retryForMs?: number;
}

const RETRY_FOR_MS = 60_000;

/** Migrations between Postgres servers, version 14 or later, by logical replication. */
export function createPostgresEngine(options: PostgresEngineOptions = {}): MigrationEngine {
  const sessions = new EngineSessions();
  const streams = new Map<string, AppliedStream>();
  const log = (level: 'info' | 'warn', message: string): void => options.log?.[level]({}, message);
  return {
    isPassing,
    preflight,
    copySchema: (model, target, keyspace) => copySchema(model, target, keyspace, log),
    prepareSource: (source, migration, tasks) =>
      sessions.use(source, (session) => preparePublication(session, migration, tasks)),
    prepareTarget: (target) => sessions.use(target, ensureLedger),
    openSnapshot: (source, migration, targets) =>
      openSourceSnapshot(source, migration, targets, (message) => log('info', message)),
    clearTarget: async (target, tasks) => {
      await asApplier(target, undefined, (session) => deleteSelected(session, tasks));
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
    dropStream: (spec) =>
      sessions.use(spec.from, (session) =>
        dropSlot(session, slotName(spec.migration, spec.direction, spec.from.shard, spec.to.shard)),
      ),
    prepareReverse: (spec) => prepareReverse(sessions, spec),
    currentPosition: (address) =>
      sessions.use(address, async (session) => (await session.value('SELECT pg_current_wal_flush_lsn()'))!),
    writeMarker: (address, migration) => sessions.use(address, (session) => markLog(session, migration)),
    verify: verifyRows,
    repair: (spec, differences) => repairRows(spec, runningStream(streams, spec), differences),
    prepareFence: (address, migration, tasks) =>
      sessions.use(address, (session) => prepareFence(session, migration, tasks)),
    raiseFence: (address, migration, tasks, deadlineMs) =>
      raiseFence(sessions, address, migration, tasks, deadlineMs),
    lowerKeptFence: (address, migration) => lowerFence(sessions, address, migration),
    advanceSequences: (sources, target, tasks) => advanceSequences(sessions, sources, target, tasks),
    deleteRows: (address, migration, tasks, signal) =>
      asApplier(address, migration, (session) => deleteSelected(session, tasks, signal)),
    removeTraces: (address, migration, notes) =>
      sessions.use(address, (session) => removeTraces(session, migration, notes)),
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

/** Runs `work` in a session of its own with triggers and foreign keys off and the fence open; its changes carry our origin when a migration is given. */
async function asApplier<T>(
  address: ShardAddress,
  migration: string | undefined,
  work: (session: EngineSession) => Promise<T>,
): Promise<T> {
  const session = await EngineSession.connect(address);
  try {
    if (migration === undefined)
      await session.run(`SET session_replication_role = replica; SET ringferry.applier = 'on'`);
    else await actAsApplier(session, localOriginName(migration, address.shard));
    return await work(session);
  } finally {
    await session.close();
  }
}

/** Everything that the stream back needs: row images and the slot on the new owner, the ledger on the old. */
async function prepareReverse(sessions: EngineSessions, spec: StreamSpec): Promise<void> {
  const tasks: readonly CopyTask[] = spec.tasks.filter((task) => task.selection.type === 'ranges');
  await sessions.use(spec.to, ensureLedger);
  await sessions.use(spec.from, async (session) => {
    await preparePublication(session, spec.migration, tasks);
    await createSlot(session, slotName(spec.migration, spec.direction, spec.from.shard, spec.to.shard));
  });
  // Most of it now, so that little is left to do while statements wait.
  await advanceSequences(sessions, [spec.to], spec.from, tasks);
}
