import type { MigrationRecord, Phase } from '../migration/record.js';
import type { ProxyProcess } from './proxy-process.js';
import { bar, milliseconds, type Screen, seconds, thousands } from './screen.js';
import type { Traffic } from './traffic.js';

const LABEL_WIDTH = 28;

/** Tells the demo's story while it happens. */
export class Narrator {
  readonly #screen: Screen;
  #phase: Phase | undefined;
  #phaseAt = 0;
  #record: MigrationRecord | undefined;
  #migrationAt = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  title(): void {
    const screen = this.#screen;
    screen.line();
    screen.line(
      `  ${screen.bold('Ringferry')}  a shop on three Postgres shards gets a fourth one while it is open`,
    );
    screen.line();
  }

  /** Runs one step; its words come when it is done. */
  async step<Result>(label: string, work: () => Promise<readonly [Result, string]>): Promise<Result> {
    const screen = this.#screen;
    const begin = performance.now();
    screen.live(`  … ${label}`);
    const [result, words] = await work();
    screen.line(
      `  ${screen.good('✔')} ${label.padEnd(LABEL_WIDTH)}${words}  ${screen.dim(seconds(performance.now() - begin))}`,
    );
    return result;
  }

  migrationBegins(shard: { readonly name: string; readonly url: string }): void {
    const screen = this.#screen;
    this.#migrationAt = performance.now();
    screen.line();
    screen.line(`  ${screen.bold(`$ ringferry migrate add-shard ${shard.name} --url ${shard.url}`)}`);
  }

  /** Called as often as the record is read; writes a line per phase, and a changing one in between. */
  progress(record: MigrationRecord, traffic: Traffic): void {
    this.#record = record;
    if (record.phase !== this.#phase) {
      this.#closePhase();
      this.#phase = record.phase;
      this.#phaseAt = performance.now();
    }
    const screen = this.#screen;
    const shop = `${thousands(traffic.statements)} statements, ${traffic.errorCount} errors`;
    screen.live(`    ${record.phase.padEnd(14)} ${progressBar(record)}  ${screen.dim(shop)}`);
  }

  migrationEnds(record: MigrationRecord): void {
    const screen = this.#screen;
    this.#record = record;
    this.#closePhase();
    this.#phase = undefined;
    screen.line(
      `  ${screen.good('✔')} ${'shard added'.padEnd(LABEL_WIDTH)}${seconds(performance.now() - this.#migrationAt)} from the command to the end of the cleaning`,
    );
    screen.line();
  }

  invitation(proxy: ProxyProcess): void {
    const screen = this.#screen;
    const shop = `psql -h 127.0.0.1 -p ${proxy.ports.postgres} -U app shop`;
    const control = `psql -h 127.0.0.1 -p ${proxy.ports.admin} ringferry`;
    screen.line('  Everything stays up. In another terminal:');
    screen.line();
    screen.line(`    ${shop} -c 'SELECT status, count(*) FROM orders GROUP BY status ORDER BY status'`);
    screen.line(`    ${shop} -c 'SELECT * FROM customers ORDER BY points DESC, id LIMIT 5'`);
    screen.line(`    ${control} -c 'SHOW SHARDS'`);
    screen.line(`    ${control} -c 'EXPLAIN ROUTE SELECT count(*) FROM orders'`);
    screen.line(`    http://127.0.0.1:${proxy.ports.http}/`);
    screen.line();
    screen.line('  Ctrl-C stops and removes all of it.');
    screen.line();
  }

  #closePhase(): void {
    const record = this.#record;
    if (this.#phase === undefined || record === undefined) return;
    const ms = performance.now() - this.#phaseAt;
    const screen = this.#screen;
    screen.line(
      `    ${this.#phase.padEnd(LABEL_WIDTH)}${wordsOf(this.#phase, record)}  ${screen.dim(seconds(ms))}`,
    );
  }
}

export function movedRows(record: MigrationRecord): number {
  return record.copies.reduce((rows, copy) => rows + copy.rows, 0);
}

function progressBar(record: MigrationRecord): string {
  if (record.phase !== 'backfilling') return '';
  const expected = record.copies.reduce((rows, copy) => rows + copy.estimatedRows, 0);
  return `${bar(movedRows(record) / Math.max(1, expected))} ${thousands(movedRows(record))} rows`;
}

/** What a phase has done, in words. */
function wordsOf(phase: Phase, record: MigrationRecord): string {
  switch (phase) {
    case 'planned':
      return `${record.moves.length} moves from ${[...new Set(record.moves.map((move) => move.source))].join(', ')}`;
    case 'preparing':
      return 'tables on the new shard, slots and publications on the others';
    case 'backfilling':
      return `${thousands(movedRows(record))} rows copied in one snapshot per source`;
    case 'catching-up':
      return 'changes made meanwhile, in commit order';
    case 'verifying':
      return record.verification === undefined
        ? 'checksums of both sides'
        : `${thousands(record.verification.comparedRows)} rows compared by checksum, ${record.verification.differences} differ`;
    case 'mirroring':
      return 'every acknowledged write is on both owners';
    case 'cutting-over':
      return record.holdMs === undefined
        ? 'hold, fence, marker, new owner'
        : `statements for moving keys held ${milliseconds(record.holdMs)}`;
    case 'switched':
      return 'the new shard owns them; until "finish" there is a way back';
    case 'cleaning':
      return 'slots, publications, triggers and rows left behind are removed';
    default:
      return '';
  }
}
