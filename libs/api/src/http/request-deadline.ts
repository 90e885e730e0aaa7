import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from '../problem/problem.filter.js';
import { Problem } from '../problem/problem.js';

const signals = new WeakMap<FastifyRequest, AbortSignal>();

/**
 * Answers `deadline-exceeded` for a request that has no answer in time. Fastify's own `handlerTimeout` and `request.signal` end when the body was read
 * (an IncomingMessage closes then), so no request with a body would have either. An answer that has begun, such as a stream or a download, has no deadline.
 */
export function keepDeadline(server: FastifyInstance, milliseconds: number): void {
  server.addHook('onRequest', (request, reply, done) => {
    const over = new AbortController();
    signals.set(request, over.signal);
    const timer = setTimeout(() => {
      over.abort();
      endLate(request, reply);
    }, milliseconds);
    reply.raw.on('close', () => {
      clearTimeout(timer);
      over.abort();
    });
    done();
  });
}

/** Aborted once nobody waits for the answer any more: it was given, the client is gone, or its time is over. */
export function endOf(request: FastifyRequest): AbortSignal {
  const signal = signals.get(request);
  if (!signal) throw new Error('The request came before its deadline was kept');
  return signal;
}

function endLate(request: FastifyRequest, reply: FastifyReply): void {
  if (reply.sent || reply.raw.headersSent) return;
  sendProblem(reply, request, new Problem('deadline-exceeded', 'The request was not answered within its time'));
}
