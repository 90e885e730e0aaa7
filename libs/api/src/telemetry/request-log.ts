import { Logger } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { pathOf } from '../problem/problem.filter.js';
import type { PrometheusMetrics } from './prometheus-metrics.js';

/** Counts and logs every answered request: writes to the public API and failures at `log`, the rest at `debug`. */
export function observeRequests(server: FastifyInstance, metrics: PrometheusMetrics): void {
  const logger = new Logger('Request');
  server.addHook('onResponse', (request, reply, done) => {
    metrics.observe(request, reply);
    const entry = {
      message: `${request.method} ${pathOf(request.url).slice(0, 300)} ${reply.statusCode}`,
      method: request.method,
      route: request.routeOptions.url ?? null,
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime),
      ...deploymentOf(request, reply),
    };
    if (isNoteworthy(request, reply.statusCode)) logger.log(entry);
    else logger.debug(entry);
    done();
  });
}

/** The deployment that the address names, or that the request has created. */
function deploymentOf({ url, method }: FastifyRequest, reply: FastifyReply): { deploymentId?: string } {
  const isCreation = method === 'POST' && url.split('?', 1)[0] === '/api/v1/deployments';
  const path = isCreation ? String(reply.getHeader('location')) : url;
  const deploymentId = /^\/api\/v1\/deployments\/([0-9a-f-]{36})(?![^/?])/i.exec(path)?.[1]?.toLowerCase();
  return deploymentId === undefined ? {} : { deploymentId };
}

function isNoteworthy({ method, url }: FastifyRequest, status: number): boolean {
  return status >= 500 || (method !== 'GET' && method !== 'HEAD' && url.startsWith('/api/'));
}
