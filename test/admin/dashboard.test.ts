import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { runInNewContext } from 'node:vm';
import { dashboardState } from '../../src/admin/dashboard-state.js';
import { FakeControl } from './fake-control.js';

const page = readFileSync(new URL('../../src/admin/dashboard.html', import.meta.url), 'utf8');

/** Runs the page's script with as much of a browser as it uses; returns how to feed it and what it drew. */
function openPage() {
  const elements = new Map<string, { innerHTML: string; textContent: string; addEventListener(): void }>();
  const byId = (id: string) => {
    assert.ok(page.includes(`id="${id}"`), `the page has an element ${id}`);
    const element = elements.get(id) ?? { innerHTML: '', textContent: '', addEventListener: () => {} };
    elements.set(id, element);
    return element;
  };
  const sources: { url: string; onmessage?: (event: { data: string }) => void }[] = [];
  class EventSource {
    constructor(readonly url: string) {
      sources.push(this);
    }
  }
  const script = /<script>([\s\S]*)<\/script>/.exec(page)![1]!;
  runInNewContext(script, {
    document: { getElementById: byId },
    location: { hash: '' },
    EventSource,
    Date,
    JSON,
  });
  assert.equal(sources[0]!.url, 'api/v1/events');
  return {
    feed: (state: unknown) => sources[0]!.onmessage!({ data: JSON.stringify(state) }),
    drawn: (id: string) => byId(id).innerHTML,
  };
}

describe('the dashboard', () => {
  it('draws ring, shards, numbers, migrations, statements and pools', async () => {
    const control = new FakeControl();
    const { record } = await control.startMigration({
      database: 'shop',
      kind: 'add-shard',
      shard: 'd',
      url: undefined,
      options: {},
    });
    const copies = [
      { source: 'a', table: 'public.orders', rows: 250, bytes: 1, estimatedRows: 1000, isDone: false },
    ];
    control.advance(record.id, { phase: 'backfilling', copies }, { lagBytes: 2048 });
    control.unreachable.add('b');
    const { feed, drawn } = openPage();
    feed(dashboardState(control, await control.probeShards()));
    assert.equal(
      drawn('ring').match(/<path /g)!.length,
      11,
      '8 vnodes, one cut in two by a move, the arc over the end, and the move itself',
    );
    assert.doesNotMatch(drawn('ring'), /NaN|undefined/);
    assert.match(drawn('shards'), /down/);
    assert.match(drawn('numbers'), /7<\/b><span>clients \(1 active, 1 waiting\)/);
    assert.match(drawn('migrations'), /width:25%[\s\S]*250 of 1,000 rows copied[\s\S]*lag 2\.0 KB/);
    assert.match(drawn('templates'), /customer_id = \$1/);
    assert.match(drawn('pools'), /transaction/);
  });

  it('shows text from outside as text', async () => {
    const control = new FakeControl();
    control.templateStates = [
      {
        database: 'shop',
        template: 'SELECT "<img src=x onerror=alert(1)>"',
        verb: 'SELECT',
        route: '<b>',
        calls: 1,
        totalMs: 1,
        errors: 0,
      },
    ];
    const { record } = await control.startMigration({
      database: 'shop',
      kind: 'add-shard',
      shard: '<i>',
      url: undefined,
      options: {},
    });
    control.advance(record.id, { phase: 'failed', failure: { phase: 'preparing', message: '<script>' } });
    const { feed, drawn } = openPage();
    feed(dashboardState(control, []));
    assert.doesNotMatch(drawn('templates') + drawn('migrations'), /<img|<b>&|<script|<i>/);
    assert.match(drawn('templates'), /&#60;img/);
  });

  it('draws a database that is passed through, and a ring of one shard', async () => {
    const control = new FakeControl();
    control.databaseStates = [control.databaseStates[1]!];
    control.snapshots.clear();
    const { feed, drawn } = openPage();
    feed(dashboardState(control, []));
    assert.match(drawn('ring'), /passed through/);
  });
});
