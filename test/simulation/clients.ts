import { tokenOf } from '../../src/topology/token.js';
import { Refused } from './database.js';
import { CONFIGURED, type SimServer } from './server.js';
import { SimSession, type Write } from './session.js';
import { COUNTRIES, ITEMS, LINES } from './tables.js';

/** What an application knows of one row: its value, or several when an answer was lost. */
export class Ledger {
  readonly #possible = new Map<string, Set<string | undefined>>();

  begin({ table, key, value }: Write): () => void {
    const name = `${table} ${key}`;
    const before = this.#possible.get(name) ?? new Set<string | undefined>([undefined]);
    this.#possible.set(name, new Set([...before, value]));
    return () => this.#possible.set(name, before);
  }

  acknowledge({ table, key, value }: Write): void {
    this.#possible.set(`${table} ${key}`, new Set([value]));
  }

  [Symbol.iterator](): IterableIterator<[string, Set<string | undefined>]> {
    return this.#possible.entries();
  }
}

/** An application: writers with keys of their own, one that bypasses the proxy, and one that counts over all shards. */
export class Clients {
  readonly ledger = new Ledger();
  readonly #server: SimServer;
  readonly #stable: string[] = [];
  readonly errors: string[] = [];
  /** Scatters that counted a row twice or missed one. */
  readonly wrongCounts: string[] = [];
  acknowledged = 0;
  scatters = 0;
  #version = 0;
  #isStopping = false;
  #running = 0;

  constructor(server: SimServer) {
    this.#server = server;
  }

  /** Rows that are there before anything begins. */
  seed(rows: number): void {
    const { databases, stored } = this.#server;
    for (let i = 0; i < rows; i++) {
      const write: Write = { table: ITEMS, key: `stable${i}`, value: 'v0' };
      this.#stable.push(write.key);
      this.#load(databases.get(stored.ring.owner(tokenOf(write.key)))!.name, write);
    }
    for (let i = 0; i < 5; i++)
      for (const name of CONFIGURED) this.#load(name, { table: COUNTRIES, key: `country${i}`, value: 'v0' });
  }

  #load(shard: string, write: Write): void {
    const transaction = this.#server.databases.get(shard)!.begin();
    transaction.write(write.table, write.key, write.value);
    transaction.commit();
    this.ledger.begin(write);
    this.ledger.acknowledge(write);
  }

  start(writers: number): void {
    for (let i = 0; i < writers; i++) this.#loop(() => this.#write(i));
    this.#loop(() => this.#writeReference());
    for (let i = 0; i < 3; i++) this.#loop(() => this.#bypass(i));
    this.#loop(() => this.#count());
  }

  stop(): void {
    this.#isStopping = true;
  }

  get areIdle(): boolean {
    return this.#running === 0;
  }

  async #loop(act: () => Promise<void>): Promise<void> {
    this.#running++;
    while (!this.#isStopping) {
      await this.#server.time.sleep(this.#server.time.below(40));
      await act();
    }
    this.#running--;
  }

  /** Every writer updates its share of the stable rows, and makes and deletes rows of its own. */
  async #write(writer: number): Promise<void> {
    const { time } = this.#server;
    const writes: Write[] = [];
    for (let i = 1 + time.below(3); i > 0; i--) {
      const value = `v${++this.#version}`;
      const stable = this.#stable[writer + 4 * time.below(Math.floor(this.#stable.length / 4))];
      if (time.chance(0.4) && stable !== undefined) writes.push({ table: ITEMS, key: stable, value });
      else
        writes.push({
          table: time.chance(0.5) ? LINES : ITEMS,
          key: `w${writer}-${time.below(12)}`,
          value: time.chance(0.3) ? undefined : value,
        });
    }
    const unique = writes.filter(
      (write, i) => writes.findIndex((other) => other.key === write.key && other.table === write.table) === i,
    );
    await this.#throughProxy(unique, time.chance(0.05) ? 700 : 10);
  }

  async #writeReference(): Promise<void> {
    const { time } = this.#server;
    await time.sleep(time.below(150));
    const key = `country${time.below(5)}`;
    await this.#throughProxy(
      [{ table: COUNTRIES, key, value: time.chance(0.2) ? undefined : `v${++this.#version}` }],
      5,
    );
  }

  async #throughProxy(writes: readonly Write[], thinkMs: number): Promise<void> {
    const proxy = await this.#server.up();
    const undo = writes.map((write) => this.ledger.begin(write));
    try {
      await Promise.race([new SimSession(this.#server, proxy).write(writes, thinkMs), this.#server.death()]);
      for (const write of writes) this.ledger.acknowledge(write);
      this.acknowledged++;
    } catch (thrown) {
      if (thrown instanceof Refused) for (const undoOne of undo) undoOne();
      if (!isDeath(thrown)) this.errors.push(String(thrown));
    }
  }

  /** Writes to whoever owns the row now, without the proxy's gate; its transaction may stay open through a cutover. */
  async #bypass(writer: number): Promise<void> {
    const { time, databases, stored } = this.#server;
    const write: Write = {
      table: ITEMS,
      key: `bypass${writer}-${time.below(10)}`,
      value: `v${++this.#version}`,
    };
    const transaction = databases.get(stored.ring.owner(tokenOf(write.key)))!.begin(true);
    const undo = this.ledger.begin(write);
    try {
      transaction.write(write.table, write.key, write.value);
      await time.sleep(time.below(time.chance(0.3) ? 300 : 30));
      // The database server of this client's own connection never died.
      transaction.commit();
      this.ledger.acknowledge(write);
    } catch (thrown) {
      transaction.rollback();
      undo();
      if (!(thrown instanceof Refused)) this.errors.push(String(thrown));
    }
  }

  async #count(): Promise<void> {
    const proxy = await this.#server.up();
    try {
      const times = this.#server.time.chance(0.3) ? 3 : 1;
      const results = await Promise.race([
        new SimSession(this.#server, proxy).scatter(ITEMS, times),
        this.#server.death(),
      ]);
      for (const keys of results) this.#check(keys);
    } catch (thrown) {
      if (!isDeath(thrown)) throw thrown;
    }
  }

  #check(keys: readonly string[]): void {
    this.scatters++;
    const seen = new Set<string>();
    for (const key of keys) {
      if (seen.has(key)) this.wrongCounts.push(`${key} twice`);
      seen.add(key);
    }
    for (const key of this.#stable) if (!seen.has(key)) this.wrongCounts.push(`${key} missing`);
  }
}

function isDeath(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message === 'connection lost';
}
