import type {
  ClientState,
  DatabaseState,
  PoolState,
  ProxyState,
  ServerState,
  TemplateState,
} from './control.js';

/** What one process that serves clients says of itself. */
export interface ProcessReport {
  readonly proxy: ProxyState;
  readonly databases: readonly DatabaseState[];
  readonly pools: readonly PoolState[];
  /** Empty when only counts were asked for. */
  readonly clients: readonly ClientState[];
  readonly servers: readonly ServerState[];
  readonly templates: readonly TemplateState[];
}

/** The worker processes behind this control port, where there are any. */
export interface Elsewhere {
  /** As of the last `gather`; counters of processes that have ended stay in, so that sums never fall. */
  reports(): readonly ProcessReport[];
  /** Asks all; one that does not answer in time is shown as it was. */
  gather(what: 'counts' | 'everything'): Promise<void>;
  /** Resolves when every process has done it. undefined: all databases. */
  operate(what: 'pause' | 'resume' | 'kill' | 'reconnect', database: string | undefined): Promise<void>;
}
