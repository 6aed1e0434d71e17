import type { Socket } from 'node:net';
import type { ProxyProcess } from '../../src/demo/proxy-process.js';
import * as wire from '../drivers/wire-client.js';
import { POSTGRES_TESTS } from '../engines.js';
import { type SlowClient, testSlowReaders } from './slow-reader.js';

/** ReadyForQuery, outside a transaction. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

class SlowPostgresClient implements SlowClient {
  readonly #client: wire.WireClient;

  constructor(client: wire.WireClient) {
    this.#client = client;
  }

  get socket(): Socket {
    return this.#client.socket;
  }

  query(sql: string): void {
    this.socket.removeAllListeners('data');
    this.#client.send(wire.query(sql));
  }

  endsResult(tail: Buffer): boolean {
    return tail.subarray(-READY.length).equals(READY);
  }

  async beginLoad(): Promise<void> {
    this.#client.send(wire.query('BEGIN'), wire.query('COPY kept FROM STDIN'));
    await this.#client.until('G');
  }

  rowsOf(text: string): Buffer {
    return wire.frame('d', text);
  }

  async endLoad(): Promise<void> {
    this.#client.send(wire.frame('c'), wire.query('ROLLBACK'));
    await this.#client.until('Z', 2, 60_000);
  }
}

await testSlowReaders(
  POSTGRES_TESTS,
  async (proxy: ProxyProcess) =>
    new SlowPostgresClient(await wire.WireClient.login(proxy.url('postgres', 'postgres'))),
);
