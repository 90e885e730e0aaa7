import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { JoinRequest, NodeDocument, NodeReport } from '@hotswap/agent-protocol';
import type { SigstoreBundle } from '@hotswap/module-kit';

export interface Published {
  bytes: Buffer;
  bundles: SigstoreBundle[];
}

/** The control plane's side of the node protocol for one node, over real HTTP; what it answers can be changed midway. */
export class TestControlPlane {
  document: NodeDocument = { epoch: 1, revision: 1, modules: [] };
  readonly artifacts = new Map<string, Published>();
  readonly joins: { request: JoinRequest; authorization: string | undefined }[] = [];
  readonly reports: NodeReport[] = [];
  /** Deliveries of a report that had been counted before. */
  repeatedCount = 0;
  artifactFetchCount = 0;
  secret = 'first-secret';
  joinToken: string | null = null;
  /** The reports' answer where it is not 204. */
  reportsRefused: { status: number; code: string } | null = null;
  /** Counts a report, then hangs up instead of answering, so many times. */
  loseAnswers = 0;
  streamsOpen = true;
  private readonly streams = new Set<ServerResponse>();
  private readonly sockets = new Set<Socket>();
  private server: Server | null = null;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get latest(): NodeReport | undefined {
    return this.reports.at(-1);
  }

  /** Listens, after `stop` on the same port again. */
  async start(): Promise<this> {
    const server = createServer((request, response) => {
      this.answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this;
  }

  async stop(): Promise<void> {
    const { server } = this;
    this.server = null;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Makes `document` the node's, and tells its streams. */
  assign(document: NodeDocument): void {
    this.document = document;
    this.send(document);
  }

  /** Sends anything as a document event, without making it the node's document. */
  send(document: unknown): void {
    for (const stream of this.streams) stream.write(`event: document\ndata: ${JSON.stringify(document)}\n\n`);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const { method, url = '', headers } = request;
    if (method === 'POST' && url === '/internal/v1/nodes') return this.join(request, response, body);
    if (headers.authorization !== `Bearer ${this.secret}`) return json(response, 401, { code: 'unauthenticated' });
    const [, kind, id, part] = /^\/internal\/v1\/(nodes|artifacts)\/([^/]+)(?:\/(\w+))?$/.exec(url) ?? [];
    if (kind === 'nodes' && part === 'reports') return this.takeReport(response, JSON.parse(body) as NodeReport);
    if (kind === 'nodes' && part === 'document') return this.sendDocument(request, response);
    const published = this.artifacts.get(decodeURIComponent(id ?? ''));
    if (!published) return json(response, 404, { code: 'artifact-not-found' });
    if (part === 'bundles') return json(response, 200, { items: published.bundles });
    this.artifactFetchCount++;
    response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(published.bytes);
  }

  private join(request: IncomingMessage, response: ServerResponse, body: string): void {
    const join = JSON.parse(body) as JoinRequest;
    const { authorization } = request.headers;
    const isKnown = authorization === `Bearer ${this.secret}`;
    const isInvited = authorization === (this.joinToken === null ? undefined : `Bearer ${this.joinToken}`);
    if (!isKnown && !isInvited) return json(response, 401, { code: 'unauthenticated' });
    this.joins.push({ request: join, authorization });
    json(response, 200, { nodeId: join.nodeId, secret: this.secret, document: this.document });
  }

  private takeReport(response: ServerResponse, report: NodeReport): void {
    const { reportsRefused, joins } = this;
    if (reportsRefused) return json(response, reportsRefused.status, { code: reportsRefused.code });
    if (report.bootId !== joins.at(-1)?.request.bootId) return json(response, 409, { code: 'fenced' });
    const isKnown = this.reports.some(
      ({ bootId, sequence }) => bootId === report.bootId && sequence === report.sequence,
    );
    if (isKnown) this.repeatedCount++;
    else this.reports.push(report);
    if (this.loseAnswers > 0) {
      this.loseAnswers--;
      response.destroy();
      return;
    }
    response.writeHead(204).end();
  }

  private sendDocument(request: IncomingMessage, response: ServerResponse): void {
    if (request.headers['x-hotswap-boot'] !== this.joins.at(-1)?.request.bootId)
      return json(response, 409, { code: 'fenced' });
    if (!request.headers.accept?.includes('text/event-stream')) return json(response, 200, this.document);
    if (!this.streamsOpen) return json(response, 503, { code: 'shutting-down' });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    this.streams.add(response);
    response.on('close', () => this.streams.delete(response));
    response.write(`: ping\n\nevent: document\ndata: ${JSON.stringify(this.document)}\n\n`);
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
