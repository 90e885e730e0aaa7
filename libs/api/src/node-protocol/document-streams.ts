import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import { compareDocuments, type NodeDocument } from '@hotswap/agent-protocol';
import { NodeRegistry, WakeUps } from '@hotswap/orchestrator';
import { Problem } from '../problem/problem.js';
import { encodeEvent, pingMilliseconds, pingText, stuckMilliseconds } from '../streams/server-sent-event.js';

const streamCountMax = 2000;
const passMilliseconds = 1000;

interface Stream {
  nodeId: string;
  response: ServerResponse;
  sent: NodeDocument;
  /** Since when the node has not taken what was written; null: it has. */
  blockedAt: number | null;
  ping: NodeJS.Timeout;
}

/**
 * The open document streams of this process. Wake-ups, and a pass every second, compare what each node was sent with the newest revision; what
 * differs is sent as a whole document. A slow reader gets the newest once it reads again, never a queue. With every ping the documents themselves are
 * compared: a database that was restored comes to the same revision with other content, of which the node has to know.
 */
@Injectable()
export class DocumentStreams implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(DocumentStreams.name);
  private readonly streams = new Map<string, Stream>();
  private timer: NodeJS.Timeout | null = null;
  private unsubscribe: () => void = () => undefined;
  private isPassing = false;
  private isNudged = false;
  private isClosed = false;

  constructor(
    private readonly nodes: NodeRegistry,
    private readonly wakeUps: WakeUps,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.nudge(), passMilliseconds);
    this.unsubscribe = this.wakeUps.subscribe(() => this.nudge());
  }

  beforeApplicationShutdown(): void {
    this.isClosed = true;
    this.unsubscribe();
    if (this.timer) clearInterval(this.timer);
    for (const stream of this.streams.values()) this.end(stream);
  }

  get count(): number {
    return this.streams.size;
  }

  /** Throws a Problem where no further stream may be opened for the node. */
  checkRoom(nodeId: string): void {
    if (this.isClosed) throw new Problem('shutting-down', 'This process is shutting down; connect again');
    if (this.streams.size < streamCountMax || this.streams.has(nodeId)) return;
    const detail = `This process has ${streamCountMax} document streams open; poll, or connect to another replica`;
    throw new Problem('too-many-streams', detail, { headers: { 'retry-after': '10' } });
  }

  /** Sends `document` and every newer one on `response`, whose head is written, until either side ends. A node has one stream: the newest. */
  open(nodeId: string, response: ServerResponse, document: NodeDocument): void {
    const older = this.streams.get(nodeId);
    if (older) this.end(older);
    const ping = setInterval(() => void this.ping(stream), pingMilliseconds);
    const stream: Stream = { nodeId, response, sent: document, blockedAt: null, ping };
    this.streams.set(nodeId, stream);
    response.on('close', () => this.end(stream));
    response.on('error', () => this.end(stream));
    response.on('drain', () => (stream.blockedAt = null));
    this.send(stream, document);
    this.nudge();
  }

  private nudge(): void {
    this.isNudged = true;
    if (!this.isPassing) void this.pass();
  }

  private async pass(): Promise<void> {
    this.isPassing = true;
    while (this.isNudged && !this.isClosed) {
      this.isNudged = false;
      await this.sendNewer().catch((error: Error) =>
        this.logger.warn(`Documents could not be read, tried again: ${error.message}`),
      );
    }
    this.isPassing = false;
  }

  private async sendNewer(): Promise<void> {
    if (this.streams.size === 0) return;
    const newest = await this.nodes.documentRevisions([...this.streams.keys()]);
    for (const stream of [...this.streams.values()]) {
      const revision = newest.get(stream.nodeId);
      if (revision && stream.blockedAt === null && compareDocuments(revision, stream.sent) <= 0) continue;
      if (stream.blockedAt !== null) this.endIfStuck(stream, stream.blockedAt);
      else await this.refresh(stream);
    }
  }

  private async refresh(stream: Stream): Promise<void> {
    const document = await this.nodes.document(stream.nodeId);
    // A node that is gone from the registry learns why when it connects again.
    if (!document) this.end(stream);
    else if (compareDocuments(document, stream.sent) > 0) this.send(stream, document);
  }

  private async ping(stream: Stream): Promise<void> {
    this.write(stream, pingText);
    const document = await this.nodes.document(stream.nodeId).catch(() => null);
    // A newer one may have been sent meanwhile; one of an older history is found by what the node reports.
    const isOther =
      document !== null &&
      stream.blockedAt === null &&
      compareDocuments(document, stream.sent) >= 0 &&
      !isDeepStrictEqual(document, stream.sent);
    if (isOther && this.streams.get(stream.nodeId) === stream) this.send(stream, document);
  }

  private send(stream: Stream, document: NodeDocument): void {
    this.write(stream, encodeEvent({ type: 'document', data: document }));
    stream.sent = document;
  }

  private write(stream: Stream, text: string): void {
    if (stream.blockedAt !== null || !stream.response.writable) return;
    if (!stream.response.write(text)) stream.blockedAt = Date.now();
  }

  private endIfStuck(stream: Stream, blockedAt: number): void {
    if (Date.now() - blockedAt < stuckMilliseconds) return;
    this.logger.warn(`Node ${stream.nodeId} has not read its stream for ${stuckMilliseconds / 1000} s; closed`);
    stream.response.destroy();
  }

  private end(stream: Stream): void {
    clearInterval(stream.ping);
    if (this.streams.get(stream.nodeId) === stream) this.streams.delete(stream.nodeId);
    if (!stream.response.writableEnded) stream.response.end();
  }
}
