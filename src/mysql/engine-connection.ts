import { readFileSync } from 'node:fs';
import mysql from 'mysql2';
import type { ShardAddress } from '../migration/engine.js';
import { sign } from './ed25519.js';
import { type Flavor, flavorOf } from './flavor.js';
import { parseAddress } from './server-address.js';

const CONNECT_TIMEOUT_MS = 10_000;
/** MariaDB's ed25519 plugin: the challenge's own length. */
const ED25519_CHALLENGE_BYTES = 32;

export interface EngineConnection {
  readonly connection: mysql.Connection;
  readonly flavor: Flavor;
  /** With which it was made: what else connects to this server does it in the same way. */
  readonly options: mysql.ConnectionOptions;
}

/** Connects as the shard's URL says (see `parseAddress`); rejects with the server's or the network's error, or `configuration`. */
export async function connectEngine(address: ShardAddress, hasBatches: boolean): Promise<EngineConnection> {
  const { sslMode } = addressOf(address);
  if (sslMode !== 'preferred')
    return await open(connectionOptions(address, sslMode !== 'disabled'), hasBatches);
  try {
    return await open(connectionOptions(address, true), hasBatches);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'HANDSHAKE_NO_SSL_SUPPORT') throw error;
    return await open(connectionOptions(address, false), hasBatches);
  }
}

async function open(options: mysql.ConnectionOptions, hasBatches: boolean): Promise<EngineConnection> {
  const connection = mysql.createConnection({ ...options, multipleStatements: hasBatches });
  try {
    const flavor = await new Promise<Flavor>((resolve, reject) => {
      connection.on('error', reject);
      connection.once('connect', ({ serverVersion }: { serverVersion: string }) =>
        resolve(flavorOf(serverVersion)),
      );
    });
    connection.removeAllListeners('error');
    connection.on('error', () => {});
    return { connection, flavor, options };
  } catch (error) {
    connection.on('error', () => {});
    connection.destroy();
    throw error;
  }
}

function addressOf({ shard, url }: ShardAddress): ReturnType<typeof parseAddress> {
  return parseAddress({ shard, url, user: '', password: undefined, database: '' });
}

function connectionOptions(address: ShardAddress, isEncrypted: boolean): mysql.ConnectionOptions {
  const { host, port } = addressOf(address);
  const { username, password, pathname } = new URL(address.url);
  const secret = decodeURIComponent(password);
  return {
    host,
    port,
    user: decodeURIComponent(username),
    password: secret,
    database: decodeURIComponent(pathname.slice(1)),
    charset: 'utf8mb4',
    connectTimeout: CONNECT_TIMEOUT_MS,
    enableKeepAlive: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    flags: ['FOUND_ROWS', '-LOCAL_FILES'],
    authPlugins: {
      client_ed25519: () => (challenge) => sign(secret, challenge.subarray(0, ED25519_CHALLENGE_BYTES)),
    },
    ...(isEncrypted ? { ssl: sslOptions(address) } : {}),
  };
}

/** `required` and `preferred` ask for encryption only; with an authority `required` has become `verify_ca`. */
function sslOptions(address: ShardAddress): mysql.SslOptions {
  const { sslMode, rootCert, clientCert, clientKey } = addressOf(address);
  const isHostVerified = sslMode === 'verify_identity';
  return {
    rejectUnauthorized: isHostVerified || sslMode === 'verify_ca',
    verifyIdentity: isHostVerified,
    minVersion: 'TLSv1.2',
    ...(rootCert === undefined ? {} : { ca: readFileSync(rootCert, 'utf8') }),
    ...(clientCert === undefined ? {} : { cert: readFileSync(clientCert, 'utf8') }),
    ...(clientKey === undefined ? {} : { key: readFileSync(clientKey, 'utf8') }),
  };
}
