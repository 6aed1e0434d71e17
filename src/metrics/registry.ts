import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';
import { CATALOGUE, type MetricFacts, type MetricName } from './catalogue.js';
import type { Histogram } from './histogram.js';

/** Takes the values of one scrape; labels in the order of the catalogue. */
export interface Samples {
  set(name: MetricName, labels: readonly string[], value: number): void;
  /** `unit`: what an observation must be divided by to become the metric's unit. */
  histogram(name: MetricName, labels: readonly string[], histogram: Histogram, unit: number): void;
}

interface Value {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/**
 * A registry whose values are read from plain counters when it is scraped: `fill` is called once per scrape. The
 * process's own metrics (CPU, memory, event loop) are in it too when `withProcess` says so.
 */
export function createRegistry(fill: (samples: Samples) => void, withProcess: boolean): Registry {
  const registry = new Registry();
  if (withProcess) collectDefaultMetrics({ register: registry });
  let scrape: ReadonlyMap<string, Value[]> | undefined;
  const valuesOf = (name: MetricName): Value[] => {
    if (scrape === undefined) {
      scrape = collectValues(fill);
      // All metrics of one scrape are asked in one turn, before the next microtask.
      queueMicrotask(() => {
        scrape = undefined;
      });
    }
    return scrape.get(name) ?? [];
  };
  for (const [name, { type, help }] of Object.entries(CATALOGUE)) {
    const metric = {
      name,
      get: async () => ({ name, help, type, aggregator: 'sum', values: valuesOf(name as MetricName) }),
    };
    // The registry asks a metric for its name and `get` only; prom-client's own classes would make us replay increments.
    registry.registerMetric(metric as unknown as Metric);
  }
  return registry;
}

function collectValues(fill: (samples: Samples) => void): Map<string, Value[]> {
  const values = new Map<string, Value[]>();
  const add = (name: string, value: Value) => {
    const list = values.get(name);
    if (list === undefined) values.set(name, [value]);
    else list.push(value);
  };
  fill({
    set: (name, labels, value) => add(name, { labels: labelled(name, labels), value }),
    histogram: (name, labels, histogram, unit) => {
      const shared = labelled(name, labels);
      let cumulative = 0;
      for (const [index, bound] of histogram.bounds.entries()) {
        cumulative += histogram.counts[index]!;
        add(name, {
          metricName: `${name}_bucket`,
          labels: { ...shared, le: bound / unit },
          value: cumulative,
        });
      }
      add(name, { metricName: `${name}_bucket`, labels: { ...shared, le: '+Inf' }, value: histogram.count });
      add(name, { metricName: `${name}_sum`, labels: shared, value: histogram.sum / unit });
      add(name, { metricName: `${name}_count`, labels: shared, value: histogram.count });
    },
  });
  return values;
}

function labelled(name: MetricName, values: readonly string[]): Record<string, string> {
  const facts: MetricFacts = CATALOGUE[name];
  if (facts.labels.length !== values.length)
    throw new TypeError(`${name} takes the labels ${facts.labels.join(', ')}`);
  return Object.fromEntries(facts.labels.map((label, index) => [label, values[index]!]));
}
