import { LRUCache } from 'lru-cache';
import type { Plan } from '../routing/plan.js';
import type { StatementRouter } from '../routing/router.js';

/** What one statement template has cost so far. */
export interface TemplateCount {
  /** The statement with its literals taken out. */
  readonly template: string;
  readonly verb: string;
  readonly route: string;
  calls: number;
  totalMs: number;
  errors: number;
}

/** How often each template ran and how long it took; bounded, the least used are forgotten. */
export class TemplateCounts {
  readonly #counts: LRUCache<Plan, TemplateCount>;

  constructor(max: number) {
    this.#counts = new LRUCache({ max });
  }

  /** `names` tells the template, the first time; without it (the tables cannot be read just now) it goes by its verb. */
  count(
    plan: Plan,
    sql: string,
    names: Pick<StatementRouter, 'template'> | undefined,
    elapsedMs: number,
    isError: boolean,
  ): void {
    let count = this.#counts.get(plan);
    if (count === undefined) {
      count = {
        template: names?.template(sql) ?? plan.verb,
        verb: plan.verb,
        route: routeOf(plan),
        calls: 0,
        totalMs: 0,
        errors: 0,
      };
      this.#counts.set(plan, count);
    }
    count.calls++;
    count.totalMs += elapsedMs;
    if (isError) count.errors++;
  }

  /** Busiest by total time. */
  busiest(limit: number): TemplateCount[] {
    return [...this.#counts.values()].sort((a, b) => b.totalMs - a.totalMs).slice(0, limit);
  }
}

function routeOf(plan: Plan): string {
  const { placement } = plan;
  if (plan.transaction !== undefined) return 'transaction';
  switch (placement.type) {
    case 'keys':
      return plan.merge === undefined ? 'by key' : 'by key, merged when several';
    case 'rows':
      return 'by key of each row';
    case 'every':
      return plan.access === 'read' ? 'scatter' : 'every shard';
    case 'shard':
      return `shard ${placement.shard}, said by hand`;
    case 'key-by-hand':
      return 'key said by hand';
    case 'refused':
      return `not supported: ${placement.error.message}`;
    default:
      return placement.type;
  }
}
