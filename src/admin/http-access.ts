import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../config/address.js';

/** A refusal with its HTTP status. */
export interface AccessRefusal {
  readonly status: 401 | 403 | 415;
  readonly message: string;
  readonly hint: string;
}

/**
 * Who may use the API and the dashboard. With a password: whoever knows it (Basic with any user name, or Bearer).
 * Without one: this machine only, asked for by a loopback name, so that a web page from elsewhere cannot reach it by a
 * DNS name of its own. Operations must come as JSON from our own pages: a form on another page cannot send that.
 */
export function checkAccess(
  request: IncomingMessage,
  password: string | undefined,
): AccessRefusal | undefined {
  if (password !== undefined) {
    if (!isPasswordRight(request.headers.authorization ?? '', password)) {
      return {
        status: 401,
        message: 'the password is missing or wrong',
        hint: 'Use admin.password of the configuration.',
      };
    }
  } else if (
    !isLoopback(request.socket.remoteAddress ?? '') ||
    !isLoopback(hostName(request.headers.host ?? ''))
  ) {
    return {
      status: 403,
      message: 'without admin.password only this machine may ask',
      hint: 'Set admin.password, or ask through 127.0.0.1.',
    };
  }
  return request.method === 'POST' ? checkPost(request) : undefined;
}

function checkPost(request: IncomingMessage): AccessRefusal | undefined {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json\b/i.test(type)) {
    return {
      status: 415,
      message: 'operations are sent as application/json',
      hint: "Add -H 'Content-Type: application/json'.",
    };
  }
  const { origin, host } = request.headers;
  if (origin === undefined || origin.replace(/^https?:\/\//, '') === host) return undefined;
  return {
    status: 403,
    message: `operations from ${origin} are refused`,
    hint: 'Send them from the dashboard or a program.',
  };
}

function isPasswordRight(authorization: string, password: string): boolean {
  const [scheme, value = ''] = authorization.split(' ');
  const given =
    scheme?.toLowerCase() === 'basic'
      ? Buffer.from(value, 'base64')
          .toString('utf8')
          .replace(/^[^:]*:/, '')
      : value;
  const isKnownScheme = /^(basic|bearer)$/i.test(scheme ?? '');
  // Compared as digests: equally long, and in constant time.
  return timingSafeEqual(digest(given), digest(password)) && isKnownScheme;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

function hostName(host: string): string {
  return host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}
