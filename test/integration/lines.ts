import type { Ringferry } from './harness.js';

// What the tests of reads in line say alike to both engines.

/** A counter of the proxy's one database, by its metric's name. */
export async function counter(proxy: Ringferry, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${proxy.ports.http}/metrics`)).text();
  return Number(new RegExp(`^${name}\\{[^}]*\\} (\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
}

interface Closable {
  end(): Promise<void>;
}

/** Some may have lost their connection. */
export async function endAll(clients: readonly Closable[]): Promise<void> {
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
}

/** What `holder` has locked is released when the act asks for it, at the latest at its end. */
export async function whileHeld(
  holder: Closable,
  act: (release: () => Promise<void>) => Promise<void>,
): Promise<void> {
  let releasing: Promise<void> | undefined;
  const release = () => (releasing ??= holder.end());
  try {
    await act(release);
  } finally {
    await release();
  }
}
