import { OperatingError } from '../lib/errors.js';
import { type Intervals, intervalsText, isInside, parseIntervals, withNumber } from './gtid-intervals.js';

/** One transaction's id in a MariaDB log: `domain-server-sequence` (MariaDB manual, Global Transaction ID). */
export interface MariadbGtid {
  readonly domain: number;
  readonly server: number;
  readonly sequence: bigint;
}

/** One transaction's id in a MySQL log: `uuid:number` or `uuid:tag:number` (MySQL manual, GTID Format and Storage). */
export interface MysqlGtid {
  /** What has numbers of its own: `uuid`, or `uuid:tag`. */
  readonly source: string;
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

  /** Throws for anything but `d-s-n` or `uuid:n-m:…:tag:n-m:…` joined by commas; the empty text is the log's beginning. */
  static parse(text: string): GtidPosition {
    const last = new Map<number, MariadbGtid>();
    const executed = new Map<string, Intervals>();
    for (const part of text.split(',').map((each) => each.trim())) {
      if (part === '') continue;
      const gtid = parseMariadbGtid(part);
      const sets = gtid === undefined ? parseSets(part) : undefined;
      if (gtid !== undefined) last.set(gtid.domain, gtid);
      else if (sets === undefined) throw new OperatingError('migration', `not a position in a log: ${text}`);
      for (const [source, intervals] of sets ?? []) executed.set(source, intervals);
    }
    return new GtidPosition(last, executed);
  }

  /** The position behind this transaction. */
  with(gtid: Gtid): GtidPosition {
    if (!('source' in gtid))
      return new GtidPosition(new Map(this.#last).set(gtid.domain, gtid), this.#executed);
    const { source, sequence } = gtid;
    const intervals = withNumber(this.#executed.get(source) ?? [], sequence);
    return new GtidPosition(this.#last, new Map(this.#executed).set(source, intervals));
  }

  holds(gtid: Gtid): boolean {
    if ('source' in gtid) {
      const { source, sequence } = gtid;
      return isInside(this.#executed.get(source) ?? [], [sequence, sequence]);
    }
    const last = this.#last.get(gtid.domain);
    return last !== undefined && last.sequence >= gtid.sequence;
  }

  covers(other: GtidPosition): boolean {
    return (
      [...other.#last.values()].every((gtid) => this.holds(gtid)) &&
      [...other.#executed].every(([source, intervals]) =>
        intervals.every((interval) => isInside(this.#executed.get(source) ?? [], interval)),
      )
    );
  }

  toString(): string {
    const last = [...this.#last.values()].sort((one, other) => one.domain - other.domain);
    const sources = [...this.#executed.keys()].sort();
    return [
      ...last.map(({ domain, server, sequence }) => `${domain}-${server}-${sequence}`),
      ...sources.map((source) => `${source}:${intervalsText(this.#executed.get(source)!)}`),
    ].join(',');
  }
}

function parseMariadbGtid(part: string): MariadbGtid | undefined {
  const match = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/.exec(part);
  if (match === null) return undefined;
  return { domain: Number(match[1]), server: Number(match[2]), sequence: BigInt(match[3]!) };
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const INTERVAL = /^\d{1,19}(?:-\d{1,19})?$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;

/** One uuid's numbers, those of its tags (MySQL 8.3) behind them: `uuid:1-5:7:tag:1-2`. */
function parseSets(part: string): Map<string, Intervals> | undefined {
  const [uuid = '', ...items] = part.toLowerCase().split(':');
  if (!UUID.test(uuid)) return undefined;
  const texts = new Map<string, string[]>();
  let source = uuid;
  for (const item of items) {
    if (TAG.test(item)) source = `${uuid}:${item}`;
    else if (!INTERVAL.test(item)) return undefined;
    const known = texts.get(source) ?? [];
    texts.set(source, known);
    if (!TAG.test(item)) known.push(item);
  }
  const isWhole = texts.size > 0 && [...texts.values()].every((intervals) => intervals.length > 0);
  if (!isWhole) return undefined;
  return new Map([...texts].map(([name, intervals]) => [name, parseIntervals(intervals.join(':'))]));
}
