import type { Socket } from 'node:net';
import type { ProxyProcess } from '../../../src/demo/proxy-process.js';
import { CAPABILITY, STATUS } from '../../../src/mysql/capabilities.js';
import { encodeQuery } from '../../../src/mysql/commands.js';
import { encodePacket } from '../../../src/mysql/packets.js';
import { MARIADB_TESTS } from '../../engines.js';
import { CAPABILITIES, handshakeResponse, RawClient } from '../../mysql/raw-client.js';
import { type SlowClient, testSlowReaders } from '../slow-reader.js';

class SlowMysqlClient implements SlowClient {
  readonly #client: RawClient;
  /** Of the next packet of a file. */
  #sequence = 2;

  constructor(client: RawClient) {
    this.#client = client;
  }

  get socket(): Socket {
    return this.#client.socket;
  }

  query(sql: string): void {
    this.socket.removeAllListeners('data');
    this.#client.send(encodeQuery(sql));
  }

  /** An EOF: `05 00 00, sequence, fe, warnings: 2, flags: 2`. */
  endsResult(tail: Buffer): boolean {
    const packet = tail.subarray(-9);
    return (
      packet.readUIntLE(0, 3) === 5 && packet[4] === 0xfe && packet.readUInt16LE(7) === STATUS.AUTOCOMMIT
    );
  }

  async beginLoad(): Promise<void> {
    this.#client.forget();
    this.#client.send(encodeQuery('BEGIN'));
    await this.#client.came(1);
    this.#client.send(encodeQuery("LOAD DATA LOCAL INFILE 'rows' INTO TABLE kept"));
    await this.#client.came(2);
  }

  rowsOf(text: string): Buffer {
    return encodePacket(Buffer.from(text), this.#sequence++ & 0xff);
  }

  async endLoad(): Promise<void> {
    this.#client.send(this.rowsOf(''));
    await this.#client.came(3);
    this.#client.send(encodeQuery('ROLLBACK'));
    await this.#client.came(4);
  }
}

async function connect(proxy: ProxyProcess): Promise<SlowMysqlClient> {
  const client = await RawClient.connect(proxy.ports.mysql!);
  const capabilities = CAPABILITIES | CAPABILITY.LOCAL_FILES;
  client.command(handshakeResponse(await client.greeting(), '', { user: 'root', capabilities }), 1);
  await client.came(2);
  return new SlowMysqlClient(client);
}

await testSlowReaders(MARIADB_TESTS, connect);
