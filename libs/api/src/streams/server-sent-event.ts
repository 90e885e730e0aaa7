import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';

const streamType = 'text/event-stream; charset=utf-8';

export interface ServerSentEvent {
  /** What the client sends as `Last-Event-ID` when it connects again. */
  id?: string;
  type: string;
  /** As JSON. */
  data: object;
}

/** Takes the answer out of the framework's hands and begins a stream of events on it, which is the caller's to end. */
export function beginStream(reply: FastifyReply): ServerResponse {
  const headers = {
    ...reply.getHeaders(),
    'content-type': streamType,
    'cache-control': 'no-store',
    connection: 'keep-alive',
    'x-accel-buffering': 'no',
  };
  reply.hijack();
  reply.raw.setHeaders(new Map(Object.entries(headers).map(([name, value]) => [name, String(value)])));
  reply.raw.flushHeaders();
  return reply.raw;
}

export function isStream(response: ServerResponse): boolean {
  return response.getHeader('content-type') === streamType;
}

/** JSON has no line breaks of its own: one `data` line. */
export function encodeEvent({ id, type, data }: ServerSentEvent): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A comment, so that neither side takes the silence for a broken connection. */
export const pingText = ': ping\n\n';
export const pingMilliseconds = 10_000;
/** A reader that takes nothing for so long is cut off. */
export const stuckMilliseconds = 30_000;
