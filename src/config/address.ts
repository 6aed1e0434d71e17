import type { HostPort } from './config.js';
import { ENGINES } from './engines.js';

/** Reads `host:port`, `[v6]:port` or `port`; undefined when it is none of them. */
export function parseAddress(text: string): HostPort | undefined {
  const match = /^(?:(?:\[([0-9a-fA-F:.%]+)\]|([^:\s[\]]+)):)?(\d{1,5})$/.exec(text.trim());
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65_535) return undefined;
  const host = match[1] ?? match[2] ?? '127.0.0.1';
  return { host: host === '*' ? '0.0.0.0' : host, port };
}

export function formatAddress(address: HostPort): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Reachable from this machine only. */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host) || /^::ffff:127\./i.test(host)
  );
}

/** Stands for all addresses of this machine. */
export function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === '*';
}

/** A shard's URL taken apart, or the reason why it is not one of this engine. */
export function parseShardUrl(text: string, engine: keyof typeof ENGINES): URL | { readonly reason: string } {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { reason: `"${redactUrl(text)}" is not a URL` };
  }
  const { schemes, title } = ENGINES[engine];
  if (!schemes.includes(url.protocol)) return { reason: `"${url.protocol}//" is not a ${title} URL` };
  const hasSocketHost = (url.searchParams.get('host') ?? '').startsWith('/');
  if (url.hostname === '' && !hasSocketHost) return { reason: 'the URL names no host' };
  return url;
}

export function urlDatabase(url: URL): string {
  return decodeURIComponent(url.pathname.replace(/^\//, ''));
}

/** The URL without its password, for people's eyes and logs. */
export function redactUrl(text: string): string {
  return text.replace(/^([a-z]+:\/\/[^:/?#@]*):.*@/i, '$1:***@').replace(/([?&]password=)[^&]*/gi, '$1***');
}
