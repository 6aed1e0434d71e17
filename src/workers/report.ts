import { z } from 'zod';
import type { ProcessReport } from '../admin/elsewhere.js';
import { Histogram } from '../metrics/histogram.js';

/** Numbers that processes give out one after the other are made different by the worker's own in their rest. */
const SPACES = 64;

const rows = z.array(z.record(z.string(), z.unknown()));
const histogram = z.object({
  bounds: z.array(z.number()),
  counts: z.array(z.number()),
  count: z.number(),
  sum: z.number(),
});
const report = z.object({
  proxy: z.record(z.string(), z.unknown()),
  databases: z.array(z.looseObject({ name: z.string(), statementMs: histogram, holdMs: histogram })),
  pools: rows,
  clients: rows,
  servers: rows,
  templates: rows,
});

/** Without `isFull` only what is counted. */
export function writeReport(made: ProcessReport, isFull: boolean): object {
  const { proxy, databases, pools } = made;
  return {
    proxy,
    databases: databases.map((state) => ({
      ...state,
      statementMs: writeHistogram(state.statementMs),
      holdMs: writeHistogram(state.holdMs),
    })),
    pools,
    clients: isFull ? made.clients : [],
    servers: isFull ? made.servers : [],
    templates: isFull ? made.templates : [],
  };
}

/** A worker's answer; `before`: whose rows stay because only counts were asked for. Its version is ours, so that its rows are of our types. */
export function readReport(
  answer: unknown,
  worker: number,
  before: ProcessReport | undefined,
): ProcessReport {
  const read = report.parse(answer);
  const numbered = (id: number) => id * SPACES + (worker % SPACES);
  const made = {
    ...read,
    databases: read.databases.map((state) => ({
      ...state,
      statementMs: Histogram.sum([state.statementMs]),
      holdMs: Histogram.sum([state.holdMs]),
    })),
  } as unknown as ProcessReport;
  if (before !== undefined)
    return { ...made, clients: before.clients, servers: before.servers, templates: before.templates };
  return {
    ...made,
    clients: made.clients.map((client) => ({
      ...client,
      id: numbered(client.id),
      servers: client.servers.map(numbered),
    })),
    servers: made.servers.map((server) => ({
      ...server,
      id: numbered(server.id),
      client: server.client === undefined ? undefined : numbered(server.client),
    })),
  };
}

function writeHistogram({ bounds, counts, count, sum }: Histogram): z.output<typeof histogram> {
  return { bounds: [...bounds], counts: [...counts], count, sum };
}
