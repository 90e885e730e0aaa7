import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ClientSignal, HostError, type HostErrorCode, type HostResponse, type Reply } from '@hotswap/module-host';
import type { Logger } from '../log.js';
import { type ProblemCode, renderProblem, sendProblem } from './problem.js';

const discardSeconds = 10;
const joinedBytesMax = 16 * 1024;
const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

const problemOf: Record<HostErrorCode, ProblemCode> = {
  'no-such-route': 'no-such-route',
  'method-not-allowed': 'method-not-allowed',
  'module-not-ready': 'module-not-ready',
  overloaded: 'overloaded',
  'module-failed': 'module-failed',
  'deadline-exceeded': 'deadline-exceeded',
  'body-too-large': 'too-large',
  'request-timeout': 'request-timeout',
};

export interface VisitOptions {
  log: Logger;
  /** True once the node wants its connections gone: each answer is then the last of its connection. */
  isLeaving(): boolean;
  /** Who does not take anything of his answer for so long is hung up on. */
  clientIdleSeconds: number;
  onProblem(code: ProblemCode): void;
}

/** A client that has asked: gets the module's answer, or the problem why there is none, and is either there or gone. */
export class Visit implements ClientSignal, Reply {
  /** Null: the request has none. */
  readonly body: IncomingMessage | null;
  reason: Error | undefined;
  private listener: { handleEvent(): void } | null = null;

  /** @param onEnd called once, when the client has its answer or has gone. */
  constructor(
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly options: VisitOptions,
    onEnd: () => void,
  ) {
    this.body = hasBody(request) ? request : null;
    response.on('close', () => {
      if (!response.writableFinished) this.leave();
      onEnd();
    });
  }

  get aborted(): boolean {
    return this.reason !== undefined;
  }

  /** There is one who listens, the request's exchange. */
  addEventListener(_type: 'abort', listener: { handleEvent(): void }): void {
    this.listener = listener;
  }

  removeEventListener(): void {
    this.listener = null;
  }

  respond(answer: HostResponse): void {
    const { response } = this;
    const { body } = answer;
    try {
      this.writeHead(answer);
    } catch (error) {
      return this.fail(error);
    }
    if (isWhole(body)) {
      if (body !== null && body.length > joinedBytesMax) hangUpWhenIdle(response, this.options.clientIdleSeconds);
      if (typeof body === 'string') response.end(body, 'latin1');
      else if (body === null) response.end();
      else endWith(response, body);
      this.discardRest();
    } else
      this.sendBody(body).then(
        () => this.discardRest(),
        (error: unknown) => this.fail(error),
      );
  }

  fail(error: unknown): void {
    if (this.aborted) return;
    const { request, response, options } = this;
    const instance = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const problem = error instanceof HostError ? problemOf[error.code] : 'module-failed';
    options.onProblem(problem);
    if (!(error instanceof HostError)) options.log.error({ instance }, `a request failed: ${String(error)}`);
    // Whoever got a part of an answer learns by the broken connection that it is not whole.
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const detail = error instanceof HostError ? error.message : 'The module gave no answer.';
    const rendered = renderProblem(problem, detail, instance);
    if (problem === 'method-not-allowed') rendered.headers.push(['allow', allowedMethods]);
    if (error instanceof HostError && error.release) rendered.headers.push(['x-hotswap-module', error.release]);
    if (options.isLeaving()) response.shouldKeepAlive = false;
    sendProblem(response, rendered);
    this.discardRest();
  }

  /** Passes the body on at the client's pace; rejects when the module fails midway. */
  private async sendBody(body: AsyncIterable<Uint8Array>): Promise<void> {
    const { response } = this;
    for await (const chunk of body) {
      if (response.destroyed) return;
      if (!response.write(chunk)) await writable(response, this.options.clientIdleSeconds);
    }
    hangUpWhenIdle(response, this.options.clientIdleSeconds);
    response.end();
  }

  private leave(): void {
    this.reason = new Error('the client went away');
    this.listener?.handleEvent();
  }

  private writeHead({ status, headers, body, release }: HostResponse): void {
    const { request, response } = this;
    let isLengthKnown = !isWhole(body) || request.method === 'HEAD' || status === 204 || status === 304;
    const flat = ['x-hotswap-module', release];
    for (let at = 0; at + 1 < headers.length; at += 2) {
      const name = headers[at] ?? '';
      if (name === 'x-hotswap-module') continue;
      isLengthKnown ||= name === 'content-length';
      flat.push(name, headers[at + 1] ?? '');
    }
    // Else Node would announce a chunked body, for nothing a one that never has a chunk.
    if (!isLengthKnown) flat.push('content-length', String(isWhole(body) ? (body?.length ?? 0) : 0));
    if (this.options.isLeaving()) response.shouldKeepAlive = false;
    response.writeHead(status, flat);
  }

  /**
   * Reads what is left of a body that the module did not want: to hang up on a client that is still sending would take the answer from it, and
   * the connection's next request stands behind. Who takes too long is hung up on.
   */
  private discardRest(): void {
    const { body } = this;
    if (body === null || body.complete) return;
    const timer = setTimeout(() => body.destroy(), discardSeconds * 1000);
    body.once('close', () => clearTimeout(timer)).resume();
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

function isWhole(body: HostResponse['body']): body is string | Uint8Array | null {
  return body === null || typeof body === 'string' || body instanceof Uint8Array;
}

/** As text, byte for byte, a short body joins the head in one write; as bytes it would be a second piece of it. */
function endWith(response: ServerResponse, body: Uint8Array): void {
  if (body.length > joinedBytesMax) response.end(body);
  else response.end(Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1'), 'latin1');
}

/** Once it has its end: a client that takes nothing of it for so long. What the connection is for afterwards has its own time: another answer, or rest. */
function hangUpWhenIdle(response: ServerResponse, idleSeconds: number): void {
  response.setTimeout(idleSeconds * 1000);
  // Before the HTTP server's own listener, which sets the time that a connection may rest.
  response.prependOnceListener('finish', () => response.setTimeout(0));
}

/** When the client has taken what it was sent, or is gone. The HTTP server ends a connection whose time is up; that some of it was taken begins it anew. */
async function writable(response: ServerResponse, idleSeconds: number): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      response.setTimeout(0);
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.setTimeout(idleSeconds * 1000);
    response.on('drain', go).on('close', go);
  });
}
