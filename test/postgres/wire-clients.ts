import { encodeStartupMessage } from '../../src/postgres/frontend-messages.js';
import { TestDoor } from '../fakes/door.js';
import { RawClient } from '../fakes/raw-client.js';

/** The doors of one test and the clients that come to them. */

export const APP = new Map([
  ['user', 'app'],
  ['database', 'shop'],
]);

const doors: TestDoor[] = [];
export const clients: RawClient[] = [];

export async function open(options: Parameters<typeof TestDoor.open>[0] = {}): Promise<TestDoor> {
  const door = await TestDoor.open(options);
  doors.push(door);
  return door;
}

export async function arrive(door: TestDoor): Promise<RawClient> {
  const client = await RawClient.connect(door.port);
  clients.push(client);
  return client;
}

export async function enter(
  door: TestDoor,
  parameters: ReadonlyMap<string, string> = APP,
): Promise<RawClient> {
  const client = await arrive(door);
  client.send(encodeStartupMessage(parameters));
  await client.untilReady();
  return client;
}

export async function closeAll(): Promise<void> {
  for (const client of clients.splice(0)) client.socket.destroy();
  for (const door of doors.splice(0)) await door.close();
}
