import { COM } from '../../src/mysql/capabilities.js';
import { encodePacket } from '../../src/mysql/packets.js';
import { until } from './client-door.js';
import { handshakeResponse, RawClient } from './raw-client.js';

/** What a client says of itself at login. */
export interface LoginFacts {
  readonly capabilities: number;
  readonly mariadbCapabilities?: number;
  readonly collationId?: number;
}

/** Logged in as root; what has come so far is forgotten. */
export async function enter(port: number, facts: LoginFacts): Promise<RawClient> {
  const client = await RawClient.connect(port);
  client.command(handshakeResponse(await client.greeting(), '', { user: 'root', ...facts }), 1);
  await client.came(2);
  client.forget();
  return client;
}

export const PING = encodePacket(Buffer.of(COM.PING));

/** A command, or one for the statement that was prepared last. */
export type Command = Buffer | ((statement: number) => Buffer);

/** Every packet that each of these commands is answered with, its number in front; a COM_PING behind each shows where its answer ends. */
export async function conversation(
  port: number,
  facts: LoginFacts,
  commands: readonly Command[],
): Promise<string[][]> {
  const client = await enter(port, facts);
  const answers: string[][] = [];
  let statement = 0;
  for (const command of commands) {
    client.forget();
    const sent = typeof command === 'function' ? command(statement) : command;
    client.send(sent, PING);
    await until(
      () =>
        client.payloads.length > 1 && client.sequences.at(-1) === 1 && client.payloads.at(-1)!.length === 7,
    );
    // MariaDB goes on counting where the earlier client of the same thread ended.
    if (sent[4] === COM.STMT_PREPARE) statement = client.payloads[0]!.readUInt32LE(1);
    if (sent[4] === COM.STMT_PREPARE) client.payloads[0]!.fill(0, 1, 5);
    answers.push(
      client.payloads.map((payload, index) => `${client.sequences[index]} ${payload.toString('latin1')}`),
    );
  }
  client.socket.destroy();
  return answers;
}
