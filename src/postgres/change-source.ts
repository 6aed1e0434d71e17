import { setTimeout as sleep } from 'node:timers/promises';
import { OperatingError } from '../lib/errors.js';
import type { CopyTask, ShardAddress } from '../migration/engine.js';
import { mergeTasks } from '../migration/selection.js';
import type { Position } from '../topology/topology.js';
import { publicationName, quoteName, quoteTable } from './engine-names.js';
import { EngineSession, sqlstateOf } from './engine-session.js';
import { readExistingTables, type TableFacts } from './engine-tables.js';
import { ensureLedger } from './ledger.js';
import { formatLsn, type Lsn, parseLsn } from './lsn.js';

/** Object in use, and lock not available: what passes when tried again. */
const IN_USE = '55006';
const LOCK_TIMEOUT = '55P03';
const DEADLOCK = '40P01';

/**
 * Makes the publication, and the row images that applying and filtering need, on the shard whose changes are to be
 * read. Returns what the tables' replica identities were before, which is also noted in the database itself: a
 * process that dies between the act and its record must not lose it.
 */
export async function preparePublication(
  session: EngineSession,
  migration: string,
  tasks: readonly CopyTask[],
): Promise<string> {
  await ensureLedger(session);
  const wanted = mergeTasks(tasks);
  const tables = await readExistingTables(
    session,
    wanted.map((task) => task.table),
  );
  await createPublication(session, migration);
  for (const [index, facts] of tables.entries())
    await publishTable(session, migration, wanted[index]!, facts);
  const notes = await session.rows(
    'SELECT schema_name, table_name, identity, index_name FROM ringferry.identities WHERE migration = $1 ORDER BY 1, 2',
    [migration],
  );
  return JSON.stringify({ identities: notes });
}

/**
 * Old rows must carry the primary key (to find the row), the shard key (to know whose it was), and what no UPDATE can
 * set on the target (to see that it changed).
 */
function carriesEnough(facts: TableFacts, task: CopyTask): boolean {
  const needed = [...facts.primaryKey, ...facts.columns.filter((column) => column.isAlwaysIdentity)].map(
    (column) => column.name,
  );
  if (task.selection.type === 'ranges' && facts.table.key !== undefined) needed.push(facts.table.key.column);
  return needed.every((name) => facts.identityColumns.includes(name));
}

async function createPublication(session: EngineSession, migration: string): Promise<void> {
  const name = publicationName(migration);
  if ((await session.rows('SELECT FROM pg_publication WHERE pubname = $1', [name])).length > 0) return;
  const version = Number(await session.value(`SELECT current_setting('server_version_num')`));
  // From 18 on, a full row image must be published with its generated columns, or the table can no longer be updated.
  const generated = version >= 180_000 ? ', publish_generated_columns = stored' : '';
  await session.run(
    `CREATE PUBLICATION ${quoteName(name)} WITH (publish = 'insert, update, delete, truncate'${generated})`,
  );
}

/** The identity, the publication, and the proof that the table can still be written: all or nothing. */
async function publishTable(
  session: EngineSession,
  migration: string,
  task: CopyTask,
  facts: TableFacts,
): Promise<void> {
  const { schema, name } = facts.table;
  const table = quoteTable(facts.table);
  const isPublished = await session.rows(
    'SELECT FROM pg_publication_tables WHERE pubname = $1 AND schemaname = $2 AND tablename = $3',
    [publicationName(migration), schema, name],
  );
  const isEnough = carriesEnough(facts, task);
  if (isPublished.length > 0 && isEnough) return;
  await withShortLocks(session, async () => {
    if (!isEnough) {
      await session.run(
        `INSERT INTO ringferry.identities (migration, schema_name, table_name, identity, index_name)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
        [migration, schema, name, facts.identity, facts.identityIndex],
      );
      await session.run(`ALTER TABLE ${table} REPLICA IDENTITY FULL`);
    }
    if (isPublished.length === 0)
      await session.run(`ALTER PUBLICATION ${quoteName(publicationName(migration))} ADD TABLE ${table}`);
    await proveWritable(session, facts);
  });
}

/**
 * A publication with a column list or a row filter, or one without generated columns, forbids UPDATE and DELETE when
 * it does not fit the identity. The server looks at that even when no row is touched.
 */
async function proveWritable(session: EngineSession, facts: TableFacts): Promise<void> {
  const table = quoteTable(facts.table);
  const column = quoteName(facts.columns[0]!.name);
  try {
    await session.run(
      `SET LOCAL session_replication_role = replica; UPDATE ONLY ${table} SET ${column} = DEFAULT WHERE false; DELETE FROM ONLY ${table} WHERE false`,
    );
  } catch (error) {
    const { message, detail = '' } = error as Error & { detail?: string };
    throw new OperatingError(
      'migration',
      `shard ${session.address.shard}: with whole rows in the log, ${message}: ${detail}`,
      {
        cause: error,
        hint: `another publication of ${facts.table.name}, or a virtual generated column, forbids it: make the shard key a part of the primary key, or change the publication`,
      },
    );
  }
}

const SHORT_LOCK_MS = 200;
const LOCK_ATTEMPTS = 150;

/**
 * One short transaction that must lock a busy table. While it waits for the lock, everyone who comes later waits behind
 * it: so it gives up soon and comes again, and live traffic never stands for longer than `SHORT_LOCK_MS`.
 */
export async function withShortLocks<T>(session: EngineSession, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await session.transaction(async () => {
        await session.run(`SET LOCAL lock_timeout = ${SHORT_LOCK_MS}`);
        return await work();
      });
    } catch (error) {
      const state = sqlstateOf(error);
      if (state !== LOCK_TIMEOUT && state !== DEADLOCK) throw error;
      if (attempt === LOCK_ATTEMPTS) {
        throw new OperatingError(
          'gate-timeout',
          `shard ${session.address.shard}: a table stayed locked by other transactions`,
          {
            cause: error,
            hint: 'end the long transaction that writes to it (pg_stat_activity) and try again',
          },
        );
      }
      await sleep(50 + Math.random() * 100);
    }
  }
}

/** A slot just made, and the snapshot that shows exactly what the slot will not tell. Valid until `session` does anything else. */
export interface ExportedSlot {
  readonly session: EngineSession;
  readonly position: Lsn;
  readonly snapshot: string;
}

/** Makes the slot first and the snapshot with it (hazard 20). A slot of that name that is there already is dropped. */
export async function createExportedSlot(
  source: ShardAddress,
  slot: string,
  onWaiting: (message: string) => void,
): Promise<ExportedSlot> {
  const session = await EngineSession.connect(source, { replication: true });
  const timer = setInterval(
    () => void describeOpenTransactions(source).then(onWaiting, () => {}),
    WAITING_REPORT_MS,
  ).unref();
  try {
    await dropSlot(session, slot);
    const [row] = await session.rows(`CREATE_REPLICATION_SLOT ${slot} LOGICAL pgoutput EXPORT_SNAPSHOT`);
    return { session, position: parseLsn(row![1]!), snapshot: row![2]! };
  } catch (error) {
    await session.close();
    throw error;
  } finally {
    clearInterval(timer);
  }
}

const WAITING_REPORT_MS = 5_000;

/** A slot can begin only when every transaction that has written and was open then has ended; prepared ones too. */
async function describeOpenTransactions(source: ShardAddress): Promise<string> {
  const session = await EngineSession.connect(source);
  try {
    const rows = await session.rows(
      `SELECT format('process %s since %s', pid, xact_start) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND application_name <> 'ringferry'
       UNION ALL SELECT format('prepared %s since %s', gid, prepared) FROM pg_prepared_xacts LIMIT 5`,
    );
    return `shard ${source.shard}: the copy begins when open transactions have ended: ${rows.map(([text]) => text).join(', ') || 'none is seen'}`;
  } finally {
    await session.close();
  }
}

/** A slot that begins now; keeps one that is there already. */
export async function createSlot(session: EngineSession, slot: string): Promise<void> {
  const exists =
    (await session.rows('SELECT FROM pg_replication_slots WHERE slot_name = $1', [slot])).length > 0;
  if (!exists) await session.rows(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
}

function slotFault(walStatus: string, logEnd: Lsn, applied: Lsn): string | undefined {
  if (walStatus === 'lost') return 'has lost log that it needs (max_slot_wal_keep_size)';
  // A source that was restored from a backup counts its log anew: positions of before mean nothing.
  return applied > logEnd
    ? `belongs to a log that ends at ${formatLsn(logEnd)}, before what is applied already`
    : undefined;
}

const DROP_ATTEMPTS = 100;

/** Drops a slot if it is there, also when somebody streams from it: whoever drops a slot means it. */
export async function dropSlot(session: EngineSession, slot: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [row] = await session.rows(
      `SELECT active_pid FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    );
    if (row === undefined) return;
    try {
      if (row[0] !== null) await session.rows(`SELECT pg_terminate_backend(${row[0]})`);
      await session.rows(`SELECT pg_drop_replication_slot('${slot}')`);
      return;
    } catch (error) {
      if (sqlstateOf(error) !== IN_USE || attempt === DROP_ATTEMPTS) throw error;
      await sleep(20);
    }
  }
}

/**
 * Makes sure that the slot can be streamed from: whoever streams from it still is cut off, and a slot that is gone or has
 * lost log is refused, since what it would have told is lost for good. `applied`: what the target has. Returns what was
 * confirmed to the slot last.
 */
export async function claimSlot(session: EngineSession, slot: string, applied: Lsn): Promise<Lsn> {
  const [row] = await session.rows(
    'SELECT wal_status, confirmed_flush_lsn, pg_current_wal_flush_lsn(), pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  const fault = row === undefined ? 'does not exist' : slotFault(row[0]!, parseLsn(row[2]!), applied);
  if (fault === undefined) return parseLsn(row![1]!);
  throw new OperatingError('migration', `shard ${session.address.shard}: replication slot ${slot} ${fault}`, {
    hint: 'the copy must be made anew: abort the migration and start it again',
  });
}

/**
 * Commits something of our own: everything that was committed before lies before the returned position, and the log is on
 * disk up to there, so that the stream passes it at once. The mark itself says nothing to anybody.
 */
export async function markLog(session: EngineSession, text: string): Promise<Position> {
  // Where the message itself lies: every transaction that was committed before has its end before it, and the message's own
  // commit, which the stream tells, lies behind it. The end of the log could be in the middle of somebody else's record.
  return (await session.value(`SELECT pg_logical_emit_message(true, 'ringferry', $1)`, [text]))!;
}
