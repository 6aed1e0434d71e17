import { OperatingError } from '../lib/errors.js';
import type { BackendTarget } from '../pool/backend.js';

export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** Where a server is and how the connection is encrypted (PostgreSQL manual 34.1.2). */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly sslMode: SslMode;
  /** PEM file of the authorities that are trusted. */
  readonly rootCert: string | undefined;
  /** PEM files of our own certificate and its key. */
  readonly clientCert: string | undefined;
  readonly clientKey: string | undefined;
  readonly channelBinding: 'disable' | 'prefer' | 'require';
}

const DEFAULT_PORT = 5432;
const CHANNEL_BINDINGS = ['disable', 'prefer', 'require'] as const;

/** Reads a shard's URL. Throws `configuration` naming the shard, never showing the password. */
export function parseAddress(target: BackendTarget): ServerAddress {
  let url: URL;
  try {
    url = new URL(target.url);
  } catch {
    throw wrong(target, 'its URL cannot be read', 'Write postgres://user@host:5432/database.');
  }
  const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw wrong(target, 'its URL names no host', 'Write postgres://user@host:5432/database.');
  const query = url.searchParams;
  const rootCert = query.get('sslrootcert') ?? target.serverCa;
  return {
    host,
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    sslMode: sslMode(target, query.get('sslmode'), rootCert !== undefined),
    rootCert,
    clientCert: query.get('sslcert') ?? undefined,
    clientKey: query.get('sslkey') ?? undefined,
    channelBinding: oneOf(
      target,
      'channel_binding',
      query.get('channel_binding') ?? 'prefer',
      CHANNEL_BINDINGS,
    ),
  };
}

/** A named authority is meant to be used: like libpq, `require` then checks the certificate, and so does no mode at all. */
function sslMode(target: BackendTarget, given: string | null, hasRootCert: boolean): SslMode {
  const mode = oneOf(target, 'sslmode', given ?? (hasRootCert ? 'verify-full' : 'prefer'), SSL_MODES);
  return mode === 'require' && hasRootCert ? 'verify-ca' : mode;
}

function oneOf<T extends string>(
  target: BackendTarget,
  name: string,
  value: string,
  allowed: readonly T[],
): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined)
    throw wrong(target, `${name}=${value} in its URL is not known`, `Write one of: ${allowed.join(', ')}.`);
  return found;
}

function wrong(target: BackendTarget, what: string, hint: string): OperatingError {
  return new OperatingError('configuration', `shard "${target.shard}": ${what}`, { hint });
}
