import { OperatingError } from '../lib/errors.js';
import type { BackendTarget } from '../pool/backend.js';

/** How the connection is encrypted, in the words of MySQL's own clients (MySQL manual, --ssl-mode). */
const SSL_MODES = ['disabled', 'preferred', 'required', 'verify_ca', 'verify_identity'] as const;
type SslMode = (typeof SSL_MODES)[number];

/** Where a server is and how the connection to it is encrypted. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly sslMode: SslMode;
  /** PEM file of the authorities that are trusted. */
  readonly rootCert: string | undefined;
  /** PEM files of our own certificate and its key. */
  readonly clientCert: string | undefined;
  readonly clientKey: string | undefined;
}

const DEFAULT_PORT = 3306;
const EXAMPLE = 'Write mysql://user@host:3306/database.';

/** The words that Postgres URLs have for the same, so that one habit serves both. */
const OTHER_WORDS: Readonly<Record<string, SslMode>> = {
  disable: 'disabled',
  prefer: 'preferred',
  require: 'required',
  'verify-ca': 'verify_ca',
  'verify-full': 'verify_identity',
};

/** Reads a shard's URL. Throws `configuration` naming the shard, never showing the password. */
export function parseAddress(target: BackendTarget): ServerAddress {
  let url: URL;
  try {
    url = new URL(target.url);
  } catch {
    throw wrong(target, 'its URL cannot be read', EXAMPLE);
  }
  const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw wrong(target, 'its URL names no host', EXAMPLE);
  const query = url.searchParams;
  const rootCert = query.get('ssl-ca') ?? query.get('sslrootcert') ?? target.serverCa;
  return {
    host,
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    sslMode: sslMode(target, query.get('ssl-mode') ?? query.get('sslmode'), rootCert !== undefined),
    rootCert,
    clientCert: query.get('ssl-cert') ?? query.get('sslcert') ?? undefined,
    clientKey: query.get('ssl-key') ?? query.get('sslkey') ?? undefined,
  };
}

/** A named authority is meant to be used: `required` then checks the certificate, and so does no mode at all. */
function sslMode(target: BackendTarget, given: string | null, hasRootCert: boolean): SslMode {
  if (given === null) return hasRootCert ? 'verify_identity' : 'preferred';
  const word = given.toLowerCase();
  const mode = SSL_MODES.find((candidate) => candidate === word) ?? OTHER_WORDS[word];
  if (mode === undefined)
    throw wrong(
      target,
      `ssl-mode=${given} in its URL is not known`,
      `Write one of: ${SSL_MODES.join(', ')}.`,
    );
  return mode === 'required' && hasRootCert ? 'verify_ca' : mode;
}

function wrong(target: BackendTarget, what: string, hint: string): OperatingError {
  return new OperatingError('configuration', `shard "${target.shard}": ${what}`, { hint });
}
