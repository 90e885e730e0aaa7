import type { FastifyRequest } from 'fastify';
import { Problem } from '../problem/problem.js';

/** Whether the client asks for a stream of events instead of a document. */
export function wantsEvents({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && (headers.accept?.includes('text/event-stream') ?? false);
}

/** The id of the last event that the client has seen; null: none. Throws a Problem for what is no id that a stream gave out. */
export function lastEventId({ headers }: FastifyRequest): number | null {
  const given = headers['last-event-id'];
  if (given === undefined || given === '') return null;
  if (typeof given === 'string' && /^\d{1,15}$/.test(given)) return Number(given);
  throw Problem.invalid([{ pointer: 'Last-Event-ID', message: 'is not the id of an event of this stream' }]);
}
