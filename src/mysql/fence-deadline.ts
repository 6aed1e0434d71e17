import { OperatingError } from '../lib/errors.js';
import type { ShardAddress } from '../migration/engine.js';
import { errnoOf } from './engine-session.js';
import type { Flavor } from './flavor.js';

/** Query killed; statement timeout of MariaDB, of MySQL. */
const KILLED = [1317, 1969, 3024];

/** How long raising a fence may take: statements wait meanwhile. */
export class FenceDeadline {
  readonly #address: ShardAddress;
  readonly #limitMs: number;
  readonly #endsAt: number;

  constructor(address: ShardAddress, limitMs: number) {
    this.#address = address;
    this.#limitMs = limitMs;
    this.#endsAt = performance.now() + limitMs;
  }

  get remainingMs(): number {
    return Math.max(1, this.#endsAt - performance.now());
  }

  get isOver(): boolean {
    return performance.now() >= this.#endsAt;
  }

  /** Makes a SELECT end at the deadline; a server that counts in whole seconds would be too late. */
  limited({ limitedSelect }: Flavor, select: string): string {
    if (this.isOver) throw this.passed();
    return limitedSelect(select, this.remainingMs);
  }

  /** What an error of such a SELECT means. */
  failure(error: unknown): unknown {
    return KILLED.includes(errnoOf(error) ?? 0) ? this.passed(error) : error;
  }

  passed(cause?: unknown): OperatingError {
    return new OperatingError(
      'migration',
      `shard ${this.#address.shard}: a transaction that has written moving rows did not end within ${this.#limitMs} ms`,
      { cause, hint: 'look for long or prepared transactions (information_schema.innodb_trx, XA RECOVER)' },
    );
  }
}
