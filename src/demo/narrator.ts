import type { Phase } from '../migration/record.js';
import type { DemoEngine } from './engine.js';
import type { Growth } from './growth.js';
import type { ProxyProcess } from './proxy-process.js';
import { bar, milliseconds, type Screen, seconds, thousands } from './screen.js';
import type { Traffic } from './traffic.js';

const LABEL_WIDTH = 28;

/** What these phases do, which differs between the engines. */
export interface PhaseWords {
  readonly preparing: string;
  readonly cleaning: string;
}

/** Tells the demo's story while it happens. */
export class Narrator {
  readonly #screen: Screen;
  readonly #engine: DemoEngine;
  readonly #told = new Set<Phase>();

  constructor(screen: Screen, engine: DemoEngine) {
    this.#screen = screen;
    this.#engine = engine;
  }

  title(): void {
    const screen = this.#screen;
    screen.line();
    screen.line(
      `  ${screen.bold('Ringferry')}  a shop on three ${this.#engine.title} shards gets a fourth one while it is open`,
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

  migrationBegins(name: string, url: string): void {
    this.#screen.line();
    this.#screen.line(`  ${this.#screen.bold(`$ ringferry migrate add-shard ${name} --url ${url}`)}`);
  }

  /** Called as often as the migration is looked at: a line for each phase that has ended, a changing one in between. */
  progress(growth: Growth, traffic: Traffic): void {
    const began = [...growth.began].sort(([, one], [, other]) => one - other);
    for (const [index, [phase, at]] of began.entries()) {
      const next = began[index + 1];
      if (next !== undefined && !this.#told.has(phase)) this.#tell(phase, growth, next[1] - at);
    }
    const shop = `${thousands(traffic.statements)} statements, ${traffic.errorCount} errors`;
    this.#screen.live(`    ${growth.phase.padEnd(14)} ${progressBar(growth)}  ${this.#screen.dim(shop)}`);
  }

  invitation(proxy: ProxyProcess): void {
    const screen = this.#screen;
    const { protocol } = this.#engine;
    const shop = (sql: string) => this.#engine.commandLine(proxy.ports[protocol] ?? 0, sql);
    const control = `psql -h 127.0.0.1 -p ${proxy.ports.admin} ringferry`;
    screen.line('  Everything stays up. In another terminal:');
    screen.line();
    screen.line(`    ${shop('SELECT status, count(*) FROM orders GROUP BY status ORDER BY status')}`);
    screen.line(`    ${shop('SELECT * FROM customers ORDER BY points DESC, id LIMIT 5')}`);
    screen.line(`    ${control} -c 'SHOW SHARDS'`);
    screen.line(`    ${control} -c 'EXPLAIN ROUTE SELECT count(*) FROM orders'`);
    screen.line(`    http://127.0.0.1:${proxy.ports.http}/`);
    screen.line();
    screen.line('  Ctrl-C stops and removes all of it.');
    screen.line();
  }

  #tell(phase: Phase, growth: Growth, ms: number): void {
    this.#told.add(phase);
    const words = wordsOf(phase, growth, this.#engine.words);
    if (words === '') return;
    this.#screen.line(`    ${phase.padEnd(LABEL_WIDTH)}${words}  ${this.#screen.dim(seconds(ms))}`);
  }
}

function progressBar(growth: Growth): string {
  if (growth.phase !== 'backfilling') return '';
  return `${bar(growth.copiedRows / Math.max(1, growth.estimatedRows))} ${thousands(growth.copiedRows)} rows`;
}

/** What a phase has done, in words; empty for phases that are over at once. */
function wordsOf(phase: Phase, growth: Growth, words: PhaseWords): string {
  switch (phase) {
    case 'preparing':
      return words.preparing;
    case 'backfilling':
      return `${thousands(growth.copiedRows)} rows copied, one snapshot for each of ${growth.sources.join(', ')}`;
    case 'catching-up':
      return 'what changed meanwhile, in commit order';
    case 'verifying':
      return `${thousands(growth.comparedRows)} rows compared by checksum, ${growth.differences} differ`;
    case 'mirroring':
      return 'an acknowledged write is on both owners';
    case 'cutting-over':
      return growth.holdMs === undefined
        ? 'hold, fence, marker, new owner'
        : `statements for moving keys were held ${milliseconds(growth.holdMs)}`;
    case 'switched':
      return `the new shard owns ${growth.sharePercent.toFixed(1)} % of the keys; until "finish" there is a way back`;
    case 'cleaning':
      return words.cleaning;
    default:
      return '';
  }
}
