import type { Socket } from 'node:net';
import multipart from '@fastify/multipart';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiSettings } from '../api-settings.js';
import { problemOfFramework, sendProblem } from '../problem/problem.filter.js';
import { Problem } from '../problem/problem.js';
import { checkAccess } from '../security/security-hook.js';
import type { KnownRoutes } from './known-routes.js';
import { artifactBytesMax, bodyBytesMax, bundleBytesMax, bundleCountMax } from './limits.js';
import { keepDeadline } from './request-deadline.js';

const requestMilliseconds = 30_000;
const connectionCountMax = 4096;
const multipartPath = '/api/v1/modules';

/** The HTTP server with its limits, readers of bodies and gate. */
export function createHttpAdapter(settings: ApiSettings, routes: KnownRoutes): FastifyAdapter {
  const adapter = new FastifyAdapter({
    bodyLimit: bodyBytesMax,
    // What comes on a connection that is still open while the process shuts down is answered, as the last of its connection.
    return503OnClosing: false,
    requestTimeout: requestMilliseconds,
    connectionTimeout: 60_000,
    keepAliveTimeout: 65_000,
    routerOptions: { maxParamLength: 300 },
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(reply, request, problemOfFramework(error) ?? new Problem('malformed-request', error.message)),
    clientErrorHandler: answerUnreadable,
  });
  const server = adapter.getInstance<FastifyInstance>();
  server.server.maxConnections = connectionCountMax;
  routes.watch(server);
  keepDeadline(server, requestMilliseconds);
  server.addHook('onRequest', (request, _reply, done) => {
    try {
      checkAccess(request, settings);
      checkMultipart(request);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  server.removeContentTypeParser('text/plain');
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, readJson(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  adapter.register(multipart as never, {
    throwFileSizeLimit: true,
    limits: {
      fileSize: artifactBytesMax,
      fieldSize: bundleBytesMax,
      parts: bundleCountMax + 1,
      fieldNameSize: 100,
      headerPairs: 50,
    },
  });
  return adapter;
}

/** An empty body is none: operations whose body is optional take it. */
function readJson(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown;
  } catch (error) {
    throw new Problem('malformed-json', `The body is not JSON in UTF-8: ${(error as Error).message.toWellFormed()}`);
  }
}

function checkMultipart(request: FastifyRequest): void {
  const isForm = request.headers['content-type']?.toLowerCase().startsWith('multipart/') ?? false;
  if (isForm && request.routeOptions.url !== undefined && request.routeOptions.url !== multipartPath)
    throw new Problem('unsupported-media-type', 'This operation takes application/json');
}

/** Answers what is no readable HTTP request; there is no request object to answer through. */
function answerUnreadable(this: FastifyInstance, error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return;
  const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'headers-too-large' : 'malformed-request';
  const problem = new Problem(code, `The request is not readable as HTTP/1.1 (${error.code ?? 'unknown'})`);
  const body = JSON.stringify(problem.toDocument('/'));
  const head = `HTTP/1.1 ${problem.statusCode} ${code}\r\ncontent-type: application/problem+json; charset=utf-8\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
}
