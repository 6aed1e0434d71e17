import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CATALOGUE, type MetricFacts } from '../../src/metrics/catalogue.js';
import { Histogram } from '../../src/metrics/histogram.js';
import { createRegistry } from '../../src/metrics/registry.js';

describe('the catalogue of metrics', () => {
  for (const [name, facts] of Object.entries<MetricFacts>(CATALOGUE)) {
    it(`names ${name} by its noun and unit`, () => {
      assert.match(name, /^ringferry_[a-z]+(_[a-z]+)+$/);
      assert.equal(
        name.endsWith('_total'),
        facts.type === 'counter',
        'counters, and only they, end with _total',
      );
      assert.ok(facts.help.endsWith('.'));
      // Ids, users and statements are not closed sets.
      for (const label of facts.labels)
        assert.ok(['database', 'shard', 'phase', 'route', 'origin', 'version'].includes(label), label);
    });
  }
});

describe('a registry', () => {
  it('reads the counters once per scrape and escapes labels', async () => {
    let scrapes = 0;
    const registry = createRegistry((samples) => {
      scrapes++;
      samples.set('ringferry_statements_total', ['a"b'], scrapes);
      samples.set('ringferry_transactions_total', ['a"b'], scrapes);
    }, false);
    assert.match(await registry.metrics(), /ringferry_statements_total\{database="a\\"b"\} 1\n/);
    assert.match(await registry.metrics(), /ringferry_transactions_total\{database="a\\"b"\} 2\n/);
    assert.equal(scrapes, 2);
  });

  it('refuses labels that the catalogue does not have', async () => {
    const registry = createRegistry((samples) => samples.set('ringferry_statements_total', [], 1), false);
    await assert.rejects(registry.metrics(), /ringferry_statements_total takes the labels database/);
  });
});

describe('a histogram', () => {
  it('counts a value on a bound into that bound', () => {
    const histogram = new Histogram([1, 2]);
    for (const value of [0.5, 1, 1.5, 2, 3]) histogram.observe(value);
    assert.deepEqual([...histogram.counts], [2, 2, 1]);
    assert.equal(histogram.count, 5);
    assert.equal(histogram.sum, 8);
  });
});
