import { afterEach, describe, expect, it } from '@jest/globals';
import { fastify, type FastifyInstance, type FastifyRequest } from 'fastify';
import { endOf, keepDeadline } from '../src/http/request-deadline.js';

let server: FastifyInstance;
afterEach(() => server.close());

/** A server whose one handler answers when `until` says so. */
async function serve(milliseconds: number, until: (request: FastifyRequest) => Promise<unknown>): Promise<string> {
  server = fastify({ forceCloseConnections: true });
  keepDeadline(server, milliseconds);
  server.all('/', until);
  return server.listen({ port: 0, host: '127.0.0.1' });
}

const ended = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
const withBody = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' };

describe('A request', () => {
  it.each([
    ['without a body', { method: 'GET' }],
    ['whose body was read', withBody],
  ])('%s is answered at its deadline, and whoever works for it is told', async (_what, request) => {
    const { promise: told, resolve } = Promise.withResolvers<void>();
    const url = await serve(100, async (asked) => {
      await ended(endOf(asked));
      resolve();
      await new Promise(() => undefined);
    });
    const answer = await fetch(url, request);
    expect([answer.status, await answer.json()]).toEqual([503, expect.objectContaining({ code: 'deadline-exceeded' })]);
    await told;
  });

  it.each([
    ['without a body', { method: 'GET' }],
    ['whose body was read', withBody],
  ])('%s that its client leaves is over for whoever works for it', async (_what, request) => {
    const leave = new AbortController();
    const { promise: told, resolve } = Promise.withResolvers<void>();
    const url = await serve(600_000, async (asked) => {
      const signal = endOf(asked);
      expect(signal.aborted).toBe(false);
      leave.abort();
      await ended(signal);
      resolve();
    });
    await expect(fetch(url, { ...request, signal: leave.signal })).rejects.toThrow();
    await told;
  });
});
