import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from '../log.js';
import { Connection } from './connection.js';
import { type ProblemCode, problemMessage, renderProblem, sendProblem } from './problem.js';
import type { Router } from './router.js';

const maxHeaderBytes = 16 * 1024;
const connectionsMax = 10_000;
const headersTimeoutMs = 30_000;
const keepAliveTimeoutMs = 65_000;
// A request's deadline is its module's; this one only ends what was forgotten.
const requestTimeoutMs = 60 * 60 * 1000;

export interface Readiness {
  ready: boolean;
  /** For people: what it waits for; null when ready. */
  because: string | null;
  /** Added to the answer. */
  members: Record<string, unknown>;
}

export interface TrafficServerOptions {
  router: Router;
  log: Logger;
  readiness(): Readiness;
  /** Prometheus text. */
  metrics(): Promise<{ contentType: string; text: string }>;
  /** True once answers are to be the last of their connection. */
  isLeaving(): boolean;
  onProblem(code: ProblemCode): void;
}

/** The node's one HTTP port: its own pages, and everything else to the modules. */
export class TrafficServer {
  private readonly server: Server;

  constructor(private readonly options: TrafficServerOptions) {
    this.server = createServer(
      {
        maxHeaderSize: maxHeaderBytes,
        headersTimeout: headersTimeoutMs,
        requestTimeout: requestTimeoutMs,
        keepAliveTimeout: keepAliveTimeoutMs,
        // A request without a body is one without a stream to be ended.
        optimizeEmptyRequests: true,
        // Only a WebSocket fails without its upgrade; an offer of h2c is one that a server may leave.
        shouldUpgradeCallback: (request: IncomingMessage) => request.headers.upgrade?.toLowerCase() === 'websocket',
      },
      (request, response) => this.handle(request, response),
    );
    this.server.maxConnections = connectionsMax;
    this.server.on('clientError', (error, socket) => this.refuseMalformed(error, socket as Socket));
    this.server.on('upgrade', (request, socket) => {
      this.refuseRaw('upgrade-not-supported', 'WebSockets do not reach modules.', request.url ?? '/', socket as Socket);
    });
  }

  /** Resolves to the port once it listens. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject).listen(port, host, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    return (this.server.address() as AddressInfo).port;
  }

  /** Takes no more connections and ends those that rest; the others end with their request. */
  stopAccepting(): void {
    this.server.close();
  }

  /** Breaks off every connection that is left. */
  closeConnections(): void {
    this.server.closeAllConnections();
  }

  private handle(request: IncomingMessage, response: ServerResponse): void {
    Connection.of(request.socket).answering = response;
    const path = request.url?.split('?', 1)[0];
    switch (path) {
      case '/health/live':
      case '/health/ready':
      case '/metrics':
        this.answerOwn(path, request, response).catch((error: unknown) => {
          this.options.log.error(`${path} failed: ${String(error)}`);
          response.destroy();
        });
        return;
      default:
        this.options.router.handle(request, response);
    }
  }

  private async answerOwn(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    if (this.options.isLeaving()) response.shouldKeepAlive = false;
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const problem = renderProblem('method-not-allowed', `${path} is read by GET.`, path);
      problem.headers.push(['allow', 'GET, HEAD']);
      return sendProblem(response, problem);
    }
    if (path === '/metrics') {
      const { contentType, text } = await this.options.metrics();
      return sendText(response, contentType, text);
    }
    if (path === '/health/live') return sendText(response, 'application/json', '{"status":"live"}');
    const { ready, because, members } = this.options.readiness();
    if (!ready) return sendProblem(response, renderProblem('node-not-ready', because ?? '', path, members));
    sendText(response, 'application/json', JSON.stringify({ status: 'ready', ...members }));
  }

  private refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
    const { answering: answer } = Connection.of(socket);
    const isMidway = answer !== null && answer.headersSent && !answer.writableFinished;
    if (error.code === 'ECONNRESET' || !socket.writable || isMidway) {
      socket.destroy();
      return;
    }
    switch (error.code) {
      case 'HPE_HEADER_OVERFLOW':
        return this.refuseRaw('headers-too-large', `At most ${maxHeaderBytes} bytes are taken.`, '/', socket);
      case 'ERR_HTTP_REQUEST_TIMEOUT':
        return this.refuseRaw('request-timeout', 'The request did not arrive in time.', '/', socket);
      default:
        return this.refuseRaw('malformed-request', 'The request could not be read.', '/', socket);
    }
  }

  private refuseRaw(code: ProblemCode, detail: string, instance: string, socket: Socket): void {
    this.options.onProblem(code);
    socket.on('error', () => socket.destroy());
    socket.end(problemMessage(code, detail, instance.split('?', 1)[0] ?? '/'), () => socket.destroySoon());
  }
}

function sendText(response: ServerResponse, contentType: string, text: string): void {
  response.writeHead(200, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}
