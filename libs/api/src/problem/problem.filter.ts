import {
  Catch,
  HttpException,
  Logger,
  NotFoundException,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import { ThrottlerException } from '@nestjs/throttler';
import { CursorError, DatabaseHealth, PublishRefused } from '@hotswap/orchestrator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { KnownRoutes } from '../http/known-routes.js';
import { Problem } from './problem.js';
import type { ProblemCode } from './problem-types.js';

const byFrameworkCode: Record<string, ProblemCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed-request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed-json',
  FST_ERR_MAX_PARAM_LENGTH: 'uri-too-long',
  FST_ERR_BAD_URL: 'malformed-request',
};

const byStatus: Record<number, ProblemCode> = {
  404: 'not-found',
  413: 'too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  429: 'too-many-requests',
};

/** Answers whatever was thrown as a problem document; what nobody foresaw is logged and becomes `internal-error`. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  constructor(
    private readonly database: DatabaseHealth,
    private readonly routes: KnownRoutes,
  ) {}

  async catch(exception: unknown, host: ArgumentsHost): Promise<void> {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    if (reply.sent || reply.raw.headersSent) return;
    if (isHealthReport(exception)) {
      void reply.status(exception.getStatus()).send(exception.getResponse());
      return;
    }
    sendProblem(reply, request, await this.problemOf(exception, request));
  }

  private async problemOf(exception: unknown, request: FastifyRequest): Promise<Problem> {
    if (exception instanceof Problem) return exception;
    if (exception instanceof PublishRefused) return new Problem(exception.code, exception.message);
    if (exception instanceof CursorError)
      return Problem.invalid([{ pointer: '?cursor', message: 'is not a cursor that this list gave out' }]);
    if (exception instanceof NotFoundException) return this.routes.problemFor(request.method, pathOf(request.url));
    if (exception instanceof ThrottlerException)
      return new Problem('too-many-requests', 'Too many writes from this address; try again after Retry-After seconds');
    return problemOfFramework(exception) ?? (await this.problemOfFailure(exception, request));
  }

  private async problemOfFailure(exception: unknown, request: FastifyRequest): Promise<Problem> {
    const error = exception instanceof Error ? exception : new Error(String(exception));
    const { reachable } = await this.database.check().catch(() => ({ reachable: false }));
    if (!reachable || isConnectionLoss(error)) {
      this.logger.warn(`${request.method} ${pathOf(request.url)}: the database is away: ${error.message}`);
      const detail = 'The database did not answer; nothing is lost, try again in a moment';
      return new Problem('database-unavailable', detail, { headers: { 'retry-after': '1' } });
    }
    this.logger.error(`${request.method} ${pathOf(request.url)} failed: ${error.message}`, error.stack);
    return new Problem(
      'internal-error',
      'The request failed here, not by its own fault; the log of this process says why',
    );
  }
}

/** Writes a problem as the answer. */
export function sendProblem(reply: FastifyReply, request: FastifyRequest, problem: Problem): void {
  void reply
    .status(problem.statusCode)
    .headers(problem.headers)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .header('cache-control', 'no-store')
    .send(JSON.stringify(problem.toDocument(pathOf(request.url))));
}

/** The path of a request's target, without its query. */
export function pathOf(url: string): string {
  return url.split('?', 1)[0]!.toWellFormed();
}

/** The problem of an error that Fastify or Nest raised because of the request; null: it is not the request's fault. */
export function problemOfFramework(exception: unknown): Problem | null {
  if (!(exception instanceof Error)) return null;
  const { code, statusCode } = exception as Error & { code?: unknown; statusCode?: unknown };
  const known = typeof code === 'string' ? byFrameworkCode[code] : undefined;
  if (known) return new Problem(known, exception.message);
  const status = exception instanceof HttpException ? exception.getStatus() : statusCode;
  if (typeof status !== 'number' || status < 400 || status >= 500) return null;
  return new Problem(byStatus[status] ?? 'malformed-request', exception.message);
}

// Terminus' report is the answer of the health routes, whatever it says.
function isHealthReport(exception: unknown): exception is HttpException {
  if (!(exception instanceof HttpException) || exception.getStatus() !== 503) return false;
  const response = exception.getResponse();
  return typeof response === 'object' && 'details' in response;
}

/**
 * Connections refused, cut or ended by the server (SQLSTATE class 08, and 57P01-57P03), or given up after a query without an answer, wherever
 * in the chain of causes.
 */
function isConnectionLoss(error: Error): boolean {
  for (let link: unknown = error, depth = 0; link instanceof Error && depth < 5; link = link.cause, depth++) {
    const { code } = link as Error & { code?: unknown };
    if (typeof code === 'string' && /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|08|57P0)/.test(code)) return true;
    if (/^Connection terminated|not queryable|^Query runner already released|^Query read timeout/.test(link.message))
      return true;
  }
  return false;
}
