import { OperatingError } from '../lib/errors.js';
import { type Intervals, intervalsText, isInside, parseIntervals, withNumber } from './gtid-intervals.js';

/** One transaction's id in a MariaDB log: `domain-server-sequence` (MariaDB manual, Global Transaction ID). */
export interface MariadbGtid {
  readonly domain: number;
  readonly server: number;
  readonly sequence: bigint;
}

/** One transaction's id in a MySQL log: `uuid:number` (MySQL manual, GTID Format and Storage). */
export interface MysqlGtid {
  readonly uuid: string;
  readonly sequence: bigint;
}

export type Gtid = MariadbGtid | MysqlGtid;

/**
 * How far a log has been read. Immutable. MariaDB: the last transaction of each domain, as `@@gtid_binlog_pos` writes it;
 * within a domain sequences only grow, so one position covers another when no domain of the other is further. MySQL:
 * the set of all transactions, as `@@gtid_executed` writes it, for they need not come in the order of their numbers.
 */
export class GtidPosition {
  static readonly start = new GtidPosition(new Map(), new Map());
  readonly #last: ReadonlyMap<number, MariadbGtid>;
  readonly #executed: ReadonlyMap<string, Intervals>;

  private constructor(last: ReadonlyMap<number, MariadbGtid>, executed: ReadonlyMap<string, Intervals>) {
    this.#last = last;
    this.#executed = executed;
  }

  /** Throws for anything but `d-s-n` or `uuid:n-m:…` joined by commas; the empty text is the log's beginning. */
  static parse(text: string): GtidPosition {
    const last = new Map<number, MariadbGtid>();
    const executed = new Map<string, Intervals>();
    for (const part of text.split(',').map((each) => each.trim())) {
      if (part === '') continue;
      const gtid = parseMariadbGtid(part);
      const set = gtid === undefined ? parseSet(part) : undefined;
      if (gtid !== undefined) last.set(gtid.domain, gtid);
      else if (set !== undefined) executed.set(...set);
      else throw new OperatingError('migration', `not a position in a log: ${text}`);
    }
    return new GtidPosition(last, executed);
  }

  /** The position behind this transaction. */
  with(gtid: Gtid): GtidPosition {
    if (!('uuid' in gtid))
      return new GtidPosition(new Map(this.#last).set(gtid.domain, gtid), this.#executed);
    const { uuid, sequence } = gtid;
    const intervals = withNumber(this.#executed.get(uuid) ?? [], sequence);
    return new GtidPosition(this.#last, new Map(this.#executed).set(uuid, intervals));
  }

  holds(gtid: Gtid): boolean {
    if ('uuid' in gtid) {
      const { uuid, sequence } = gtid;
      return isInside(this.#executed.get(uuid) ?? [], [sequence, sequence]);
    }
    const last = this.#last.get(gtid.domain);
    return last !== undefined && last.sequence >= gtid.sequence;
  }

  covers(other: GtidPosition): boolean {
    return (
      [...other.#last.values()].every((gtid) => this.holds(gtid)) &&
      [...other.#executed].every(([uuid, intervals]) =>
        intervals.every((interval) => isInside(this.#executed.get(uuid) ?? [], interval)),
      )
    );
  }

  toString(): string {
    const last = [...this.#last.values()].sort((one, other) => one.domain - other.domain);
    const uuids = [...this.#executed.keys()].sort();
    return [
      ...last.map(({ domain, server, sequence }) => `${domain}-${server}-${sequence}`),
      ...uuids.map((uuid) => `${uuid}:${intervalsText(this.#executed.get(uuid)!)}`),
    ].join(',');
  }
}

function parseMariadbGtid(part: string): MariadbGtid | undefined {
  const match = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/.exec(part);
  if (match === null) return undefined;
  return { domain: Number(match[1]), server: Number(match[2]), sequence: BigInt(match[3]!) };
}

/** GTIDs with tags (MySQL 8.3) are not known here. */
function parseSet(part: string): [string, Intervals] | undefined {
  const match = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})((?::\d{1,19}(?:-\d{1,19})?)+)$/i.exec(part);
  return match === null ? undefined : [match[1]!.toLowerCase(), parseIntervals(match[2]!.slice(1))];
}
