import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';

const patienceMilliseconds = 1500;

/**
 * Answers for the application while it can't start because its database is away: alive, but not ready. Nothing is bound where the application
 * starts at once. Answers how to leave the address to it.
 */
export function waitForApplication({ port, host }: { port: number; host: string }): { leave: () => Promise<void> } {
  const server = createServer({ requestTimeout: 10_000, keepAliveTimeout: 1000 }, answer);
  server.maxConnections = 256;
  // Whether the address is free is the application's to say: it binds it next.
  server.on('error', () => undefined);
  let settled: Promise<unknown> | null = null;
  const timer = setTimeout(() => {
    settled = once(server.listen(port, host), 'listening').catch(() => undefined);
  }, patienceMilliseconds);
  return {
    leave: async () => {
      clearTimeout(timer);
      // A host's name is looked up first, and what is closed meanwhile would listen all the same.
      await settled;
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url?.split('?', 1)[0];
  if (path === '/health/live')
    return send(response, 200, 'application/json', { status: 'ok', info: {}, error: {}, details: {} });
  const database = { status: 'down', message: 'has not answered since this process started' };
  if (path === '/health' || path === '/health/ready') {
    const error = { database };
    return send(response, 503, 'application/json', { status: 'error', info: {}, error, details: error });
  }
  send(response, 503, 'application/problem+json', {
    type: 'urn:hotswap:problem:database-unavailable',
    title: 'The database is away',
    status: 503,
    detail: 'The database has not answered since this process started; try again in a moment',
    instance: path?.toWellFormed() ?? '/',
    code: 'database-unavailable',
  });
}

function send(response: ServerResponse, status: number, type: string, body: object): void {
  const headers = {
    'content-type': `${type}; charset=utf-8`,
    connection: 'close',
    ...(status === 503 && { 'retry-after': '1' }),
  };
  response.writeHead(status, headers).end(JSON.stringify(body));
}
