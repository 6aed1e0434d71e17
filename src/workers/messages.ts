import { z } from 'zod';
import type { Config } from '../config/config.js';

/*
 * What a worker and its primary say to each other. One interface per message, checked where it comes in: a message that
 * is not understood is a fault of ours, is logged and not acted upon.
 */

const database = z.string().max(1_000);
/** Opaque to this room: an encoded topology has its own check. */
const topology = z.string().max(64 * 1024 * 1024);
const token = z.string().regex(/^-?\d{1,19}$/);
const hold = z.object({ ranges: z.array(z.tuple([token, token])), reference: z.boolean() });
const gid = z.string().max(200);
const cancelKey = { processId: z.int(), secretKey: z.string().regex(/^[0-9a-f]{0,128}$/) };
const killed = { database, id: z.int(), queryOnly: z.boolean(), user: z.string() };
const engine = z.enum(['postgres', 'mysql']);

/** Asked by the primary; each is answered when it is done. */
const welcome = z.object({
  type: z.literal('welcome'),
  /** Among all workers that ever were; and which share of what is divided it gets. */
  number: z.int(),
  run: z.string(),
  owner: z.string(),
  engines: z.array(engine),
  /** Made by the primary, which is this same program, from a file that it has checked. */
  config: z.custom<Config>((value) => typeof value === 'object' && value !== null),
  topologies: z.array(z.object({ database, topology, hold: hold.nullable() })),
  paused: z.array(database),
});

export const toWorkerSchema = z.discriminatedUnion('type', [
  welcome,
  z.object({ type: z.literal('publish'), database, topology }),
  z.object({ type: z.literal('hold'), database, hold }),
  z.object({ type: z.literal('drained'), database }),
  z.object({ type: z.literal('passed'), database }),
  /** Not answered. */
  z.object({ type: z.literal('release'), database }),
  /** Comes with the socket; not answered. */
  z.object({ type: z.literal('client'), engine, isOverLimit: z.boolean() }),
  /** How are you? With `isFull` also clients, servers and templates. */
  z.object({ type: z.literal('report'), isFull: z.boolean() }),
  z.object({
    type: z.literal('operate'),
    what: z.enum(['pause', 'resume', 'kill', 'reconnect']),
    database: database.nullable(),
  }),
  z.object({
    type: z.literal('reload'),
    config: z.custom<Config>((value) => typeof value === 'object' && value !== null),
  }),
  /** Lets transactions end, answers with the last report, and ends the process. */
  z.object({ type: z.literal('drain'), drainMs: z.number().nullable() }),
  z.object({ type: z.literal('cancel'), ...cancelKey }),
  z.object({ type: z.literal('kill-session'), ...killed }),
  z.object({ type: z.literal('tables-changed'), database }),
  z.object({ type: z.literal('statements-changed') }),
]);

export const toPrimarySchema = z.discriminatedUnion('type', [
  /** The first word. A worker of another version was started from files that changed under a running primary. */
  z.object({ type: z.literal('hello'), version: z.string() }),
  /** Sockets taken since the start, and those that are open. */
  z.object({ type: z.literal('connections'), taken: z.int(), open: z.int() }),
  z.object({ type: z.literal('record-decision'), gid }),
  z.object({ type: z.literal('forget-decision'), gid }),
  z.object({ type: z.literal('list-decisions') }),
  z.object({
    type: z.literal('await-mirror'),
    database,
    migration: z.string().max(100),
    shard: z.string(),
    position: z.string(),
  }),
  z.object({ type: z.literal('cancel'), ...cancelKey }),
  z.object({ type: z.literal('kill-session'), ...killed }),
  z.object({ type: z.literal('tables-changed'), database }),
  z.object({ type: z.literal('statements-changed') }),
]);

export type ToWorker = z.output<typeof toWorkerSchema>;
export type ToPrimary = z.output<typeof toPrimarySchema>;
export type Welcome = z.output<typeof welcome>;
export type WrittenHold = z.output<typeof hold>;
