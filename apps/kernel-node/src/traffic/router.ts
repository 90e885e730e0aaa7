import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type ClientSignal,
  HostError,
  type HostErrorCode,
  type HostResponse,
  type ModuleHost,
} from '@hotswap/module-host';
import { forwardedHeaders } from './forwarded-headers.js';
import type { Logger } from '../log.js';
import { type ProblemCode, renderProblem, sendProblem } from './problem.js';

const plainHost = /^[A-Za-z0-9._-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/;

const discardSeconds = 10;
const joinedBytesMax = 16 * 1024;

const problemOf: Record<HostErrorCode, ProblemCode> = {
  'no-such-route': 'no-such-route',
  'module-not-ready': 'module-not-ready',
  overloaded: 'overloaded',
  'module-failed': 'module-failed',
  'deadline-exceeded': 'deadline-exceeded',
  'body-too-large': 'too-large',
};

export interface RouterOptions {
  host: Pick<ModuleHost, 'handle'>;
  log: Logger;
  /** True once the node wants its connections gone: each answer is then the last of its connection. */
  isLeaving(): boolean;
  onProblem(code: ProblemCode): void;
}

/** Gives `/{route}/…` to the module mounted there, and its answer, as it comes, to the client. */
export class Router {
  private inFlightCount = 0;
  private whenIdle: (() => void) | null = null;

  constructor(private readonly options: RouterOptions) {}

  /** Requests being answered now. */
  get inFlight(): number {
    return this.inFlightCount;
  }

  /** Resolves when no request is being answered. */
  async idle(): Promise<void> {
    if (this.inFlightCount > 0) await new Promise<void>((resolve) => (this.whenIdle = resolve));
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    this.inFlightCount++;
    const client = new Client();
    response.on('close', () => {
      if (!response.writableFinished) client.leave();
      if (--this.inFlightCount === 0) this.whenIdle?.();
    });
    if (this.options.isLeaving()) response.shouldKeepAlive = false;
    const { route, path } = splitTarget(request.url ?? '/');
    const host = request.headers.host ?? '';
    const body = hasBody(request) ? request : null;
    this.options.host
      .handle(route, {
        method: request.method ?? 'GET',
        url: `http://${plainHost.test(host) ? host : 'localhost'}${path}`,
        headers: forwardedHeaders(request),
        body,
        signal: client,
      })
      .then(
        (answer) => this.answer(request, response, client, answer),
        (error: unknown) => this.fail(request, response, client, error),
      )
      .then(() => {
        if (body !== null && !request.complete) discard(request);
      })
      .catch((error: unknown) => this.options.log.error(`a request could not be ended: ${String(error)}`));
  }

  private answer(
    request: IncomingMessage,
    response: ServerResponse,
    client: Client,
    answer: HostResponse,
  ): Promise<void> | undefined {
    try {
      this.writeHead(request, response, answer);
    } catch (error) {
      this.fail(request, response, client, error);
      return undefined;
    }
    const { body } = answer;
    if (body === null || body instanceof Uint8Array) {
      endWith(response, body);
      return undefined;
    }
    return sendBody(response, body).catch((error: unknown) => this.fail(request, response, client, error));
  }

  private writeHead(
    request: IncomingMessage,
    response: ServerResponse,
    { status, headers, body, release }: HostResponse,
  ): void {
    const flat = ['x-hotswap-module', release];
    const whole = body instanceof Uint8Array ? body : null;
    let isLengthKnown =
      (body !== null && whole === null) || request.method === 'HEAD' || status === 204 || status === 304;
    for (const [name, value] of headers) {
      const lower = name.toLowerCase();
      if (lower === 'x-hotswap-module') continue;
      isLengthKnown ||= lower === 'content-length';
      flat.push(name, value);
    }
    // Else Node would announce a chunked body, for nothing a one that never has a chunk.
    if (!isLengthKnown) flat.push('content-length', String(whole?.length ?? 0));
    if (this.options.isLeaving()) response.shouldKeepAlive = false;
    response.writeHead(status, flat);
  }

  private fail(request: IncomingMessage, response: ServerResponse, signal: ClientSignal, error: unknown): void {
    if (signal.aborted) return;
    const instance = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const problem = error instanceof HostError ? problemOf[error.code] : 'module-failed';
    this.options.onProblem(problem);
    if (!(error instanceof HostError)) this.options.log.error({ instance }, `a request failed: ${String(error)}`);
    // Whoever got a part of an answer learns by the broken connection that it is not whole.
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const detail = error instanceof HostError ? error.message : 'The module gave no answer.';
    const rendered = renderProblem(problem, detail, instance);
    if (error instanceof HostError && error.release) rendered.headers.push(['x-hotswap-module', error.release]);
    sendProblem(response, rendered);
  }
}

/** The route is the first segment; what follows, with the query, is the module's path. */
export function splitTarget(target: string): { route: string; path: string } {
  // Absolute form, as sent to proxies.
  const start = target.startsWith('/') ? 0 : pathStart(target);
  const end = target.slice(start + 1).search(/[/?#]/);
  if (end < 0) return { route: target.slice(start + 1), path: '/' };
  const rest = target.slice(start + 1 + end);
  return { route: target.slice(start + 1, start + 1 + end), path: rest.startsWith('/') ? rest : `/${rest}` };
}

function pathStart(target: string): number {
  const authority = target.indexOf('://');
  if (authority < 0) return target.length;
  const slash = target.indexOf('/', authority + 3);
  return slash < 0 ? target.length : slash;
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/**
 * Reads what is left of a body that the module did not want: to hang up on a client that is still sending would take the answer from it, and
 * the connection's next request stands behind. Who takes too long is hung up on.
 */
function discard(request: IncomingMessage): void {
  const timer = setTimeout(() => request.destroy(), discardSeconds * 1000);
  request.once('close', () => clearTimeout(timer)).resume();
}

/** As text, byte for byte, a short body joins the head in one write; as bytes it would be a second piece of it. */
function endWith(response: ServerResponse, body: Uint8Array | null): void {
  if (body === null) response.end();
  else if (body.length > joinedBytesMax) response.end(body);
  else response.end(Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1'), 'latin1');
}

/** Passes the body on at the client's pace; rejects when the module fails midway. */
async function sendBody(response: ServerResponse, body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of body) {
    if (response.destroyed) return;
    if (!response.write(chunk)) await writable(response);
  }
  response.end();
}

async function writable(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}

/** A request's client: there, or gone. What an AbortController does, at a fraction of its price. */
class Client implements ClientSignal {
  reason: Error | undefined;
  private listener: (() => void) | null = null;

  get aborted(): boolean {
    return this.reason !== undefined;
  }

  /** There is one who listens, the request's exchange. */
  addEventListener(_type: 'abort', listener: () => void): void {
    this.listener = listener;
  }

  removeEventListener(): void {
    this.listener = null;
  }

  leave(): void {
    this.reason = new Error('the client went away');
    this.listener?.();
  }
}
