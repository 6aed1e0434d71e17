import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { formatAddress } from '../config/address.js';
import type { HostPort } from '../config/config.js';
import type { Clock } from '../lib/clock.js';
import { OperatingError } from '../lib/errors.js';
import { createRegistry } from '../metrics/registry.js';
import type { CommandContext } from './command.js';
import { DashboardEvents } from './events.js';
import { type AccessRefusal, checkAccess } from './http-access.js';
import { answerApi, errorBody } from './http-api.js';
import { fillMetrics } from './metrics.js';
import { ShardHealth } from './shard-health.js';

export interface HttpOptions {
  readonly listen: HostPort;
  readonly clock: Clock;
  /** Asked for on each request, so that a reload changes it. */
  readonly password: () => string | undefined;
  /** Also the process's own metrics. False in tests, which start many servers in one process. */
  readonly withProcessMetrics: boolean;
}

export interface RunningHttp {
  readonly address: HostPort;
  close(): Promise<void>;
}

interface Face {
  readonly context: CommandContext;
  readonly options: HttpOptions;
  readonly registry: Registry;
  readonly health: ShardHealth;
  readonly events: DashboardEvents;
  readonly dashboard: Buffer;
}

const MAX_HEADER_BYTES = 16_384;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 1000;

/** Starts metrics, health, API and dashboard. Rejects when the address cannot be listened on. */
export async function startHttp(context: CommandContext, options: HttpOptions): Promise<RunningHttp> {
  const { control } = context;
  const health = new ShardHealth(control, options.clock);
  const face: Face = {
    context,
    options,
    registry: createRegistry((samples) => fillMetrics(control, samples), options.withProcessMetrics),
    health,
    events: new DashboardEvents(control, options.clock, () => health.probe()),
    dashboard: readFileSync(new URL('./dashboard.html', import.meta.url)),
  };
  const server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      answer(face, request, response).catch((error: unknown) => failed(response, error));
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await listening(server, options.listen);
  return { address: addressOf(server, options.listen), close: () => closeServer(server, face) };
}

async function answer(face: Face, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://ringferry');
  if (await answerOpen(face, request, response, url.pathname)) return;
  const refusal = checkAccess(request, face.options.password());
  if (refusal !== undefined) return refuse(response, refusal);
  if (url.pathname === '/api/v1/events' && request.method === 'GET')
    return face.events.listen(request, response);
  if (url.pathname.startsWith('/api/v1')) {
    const { status, body, allow } = await answerApi(face.context, request, url);
    return sendJson(response, status, body, allow === undefined ? {} : { Allow: allow });
  }
  if (url.pathname === '/' && isRead(request)) return send(response, 200, face.dashboard, DASHBOARD_HEADERS);
  sendJson(response, 404, {
    ...(errorBody('unsupported', `there is nothing at ${url.pathname}`, undefined) as object),
    paths: PATHS,
  });
}

const PATHS = ['/', '/metrics', '/healthz', '/readyz', '/api/v1/…'];

const DASHBOARD_HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy':
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
};

/** What anyone may ask: it shows numbers and names of shards only. True when it was one of these. */
async function answerOpen(
  face: Face,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<boolean> {
  if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz') return false;
  if (!isRead(request)) {
    sendJson(response, 405, errorBody('unsupported', `${path} is asked by GET`, undefined), {
      Allow: 'GET, HEAD',
    });
  } else if (path === '/metrics') {
    await face.context.control.gather('counts');
    send(response, 200, await face.registry.metrics(), { 'Content-Type': face.registry.contentType });
  } else if (path === '/healthz') {
    sendJson(response, 200, { status: 'ok', version: face.context.control.version });
  } else {
    const probes = await face.health.probe();
    const isReady = probes.every((probe) => probe.isReachable);
    const shards = probes.map(({ database, shard, isReachable, roundTripMs, error }) => ({
      database,
      shard,
      isReachable,
      roundTripMs,
      ...(error === '' ? {} : { error }),
    }));
    sendJson(response, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', shards });
  }
  return true;
}

function isRead(request: IncomingMessage): boolean {
  return request.method === 'GET' || request.method === 'HEAD';
}

function refuse(response: ServerResponse, refusal: AccessRefusal): void {
  const code = refusal.status === 415 ? 'unsupported' : 'authentication-failed';
  const headers: Record<string, string> =
    refusal.status === 401 ? { 'WWW-Authenticate': 'Basic realm="ringferry", charset="UTF-8"' } : {};
  sendJson(response, refusal.status, errorBody(code, refusal.message, refusal.hint), headers);
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  send(response, status, `${JSON.stringify(body)}\n`, {
    ...headers,
    'Content-Type': 'application/json; charset=utf-8',
  });
}

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, {
    ...headers,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

function failed(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy();
  sendJson(
    response,
    500,
    errorBody('internal', error instanceof Error ? error.message : String(error), undefined),
  );
}

function listening(server: Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const hint =
        cause.code === 'EADDRINUSE'
          ? 'Something listens there already: stop it or choose another address under listen.http.'
          : 'Choose another address under listen.http.';
      reject(
        new OperatingError(
          'configuration',
          `cannot listen for HTTP at ${formatAddress({ host, port })}: ${cause.message}`,
          { cause, hint },
        ),
      );
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      // A client that could not be accepted (no descriptors left) is gone; the server lives.
      server.on('error', () => {});
      resolve();
    });
  });
}

function addressOf(server: Server, wanted: HostPort): HostPort {
  const address = server.address();
  return {
    host: wanted.host,
    port: typeof address === 'object' && address !== null ? address.port : wanted.port,
  };
}

async function closeServer(server: Server, face: Face): Promise<void> {
  face.events.close();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
