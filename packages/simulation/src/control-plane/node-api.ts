import { isDeepStrictEqual } from 'node:util';
import {
  compareDocuments,
  type JoinRequest,
  type JoinResponse,
  type NodeDocument,
  type NodeReport,
} from '@hotswap/agent-protocol';
import { ControlPlaneError } from '@hotswap/node-agent';
import type { NodeRegistry } from '@hotswap/orchestrator';
import { Logger } from '@nestjs/common';
import type { Network } from '../runtime/network.js';
import type { SimulatedProcess } from '../runtime/simulated-process.js';

const passMilliseconds = 1_000;
const pingMilliseconds = 10_000;

const logger = new Logger('Streams');

interface StreamEnds {
  /** Null is a ping. */
  onMessage(document: NodeDocument | null): void;
  onEnd(): void;
}

interface Stream extends StreamEnds {
  nodeId: string;
  node: SimulatedProcess;
  sent: NodeDocument | null;
  /** A message was lost: nothing comes through any more. */
  isBroken: boolean;
  ping: NodeJS.Timeout;
}

export interface ArtifactStore {
  isAway: boolean;
}

/** The node protocol of one control plane process, as `libs/api` answers it, without HTTP. */
export class NodeApi {
  private readonly streams = new Map<string, Stream>();
  private isPassing = false;
  private isNudged = false;

  constructor(
    private readonly process: SimulatedProcess,
    private readonly nodes: NodeRegistry,
    private readonly network: Network,
    private readonly joinToken: string,
    private readonly artifacts: ArtifactStore,
  ) {}

  start(): void {
    setInterval(() => this.nudge(), passMilliseconds);
  }

  async join(request: JoinRequest, token: string | null): Promise<JoinResponse> {
    const { nodeId } = request;
    const kept = await this.nodes.secretHash(nodeId);
    const isKnown = token !== null && kept === hashOf(token);
    if (!isKnown && token !== this.joinToken) throw new ControlPlaneError('join', 401, 'unauthenticated');
    const secret = isKnown ? token : `${nodeId}.${Math.random()}`;
    const outcome = await this.nodes.join(request, hashOf(secret), isKnown ? hashOf(token) : null);
    if (outcome.kind === 'joined') return { nodeId, secret, document: outcome.document };
    if (outcome.kind === 'decommissioned') throw new ControlPlaneError('join', 410, 'decommissioned');
    throw new ControlPlaneError('join', 409, 'identity-taken');
  }

  async document(nodeId: string, secret: string | null): Promise<NodeDocument> {
    await this.identify(nodeId, secret);
    const document = await this.nodes.document(nodeId);
    if (!document) throw new ControlPlaneError('document', 410, 'decommissioned');
    return document;
  }

  async report(nodeId: string, secret: string | null, report: NodeReport): Promise<void> {
    await this.identify(nodeId, secret);
    switch (await this.nodes.report(nodeId, report)) {
      case 'accepted':
      case 'repeated':
        return;
      case 'fenced':
        throw new ControlPlaneError('report', 409, 'fenced');
      case 'decommissioned':
        throw new ControlPlaneError('report', 410, 'decommissioned');
      case 'unknown-node':
        throw new ControlPlaneError('report', 401, 'unauthenticated');
    }
  }

  async artifact(digest: string): Promise<void> {
    if (this.artifacts.isAway) throw new ControlPlaneError(`artifact ${digest}`, 503, null);
  }

  async checkStream(nodeId: string, secret: string | null): Promise<void> {
    await this.document(nodeId, secret);
  }

  /** Called by the node's process: what it asks reaches this one as messages. */
  openStream(nodeId: string, node: SimulatedProcess, ends: StreamEnds): { end(): void } {
    let stream: Stream | null = null;
    this.network.send(node, this.process, () => {
      if (stream) return;
      const older = this.streams.get(nodeId);
      if (older) this.network.send(this.process, older.node, () => older.onEnd());
      const ping = setInterval(() => stream && void this.ping(stream), pingMilliseconds);
      stream = { ...ends, nodeId, node, sent: null, isBroken: false, ping };
      this.streams.set(nodeId, stream);
      this.nudge();
    });
    return {
      end: () => {
        if (!stream) return;
        clearInterval(stream.ping);
        if (this.streams.get(nodeId) === stream) this.streams.delete(nodeId);
      },
    };
  }

  nudge(): void {
    this.isNudged = true;
    if (!this.isPassing) void this.pass();
  }

  private async pass(): Promise<void> {
    this.isPassing = true;
    while (this.isNudged) {
      this.isNudged = false;
      await this.sendNewer().catch(() => undefined);
    }
    this.isPassing = false;
  }

  private async sendNewer(): Promise<void> {
    if (this.streams.size === 0) return;
    const newest = await this.nodes.documentRevisions([...this.streams.keys()]);
    for (const stream of [...this.streams.values()]) {
      const revision = newest.get(stream.nodeId);
      if (revision && stream.sent && compareDocuments(revision, stream.sent) <= 0) continue;
      const document = await this.nodes.document(stream.nodeId);
      if (!document) this.network.send(this.process, stream.node, () => stream.onEnd());
      else if (!stream.sent || compareDocuments(document, stream.sent) > 0) {
        this.write(stream, document);
        stream.sent = document;
      }
    }
  }

  private async ping(stream: Stream): Promise<void> {
    this.write(stream, null);
    const document = await this.nodes.document(stream.nodeId).catch(() => null);
    if (!document || isDeepStrictEqual(document, stream.sent)) return;
    if (stream.sent && compareDocuments(document, stream.sent) <= 0)
      logger.warn(`The stream of ${stream.nodeId} had sent this revision, or a later one, with other content`);
    this.write(stream, document);
    stream.sent = document;
  }

  private write(stream: Stream, document: NodeDocument | null): void {
    if (stream.isBroken) return;
    const { lost } = this.network.counts;
    this.network.send(this.process, stream.node, () => stream.onMessage(document));
    stream.isBroken = this.network.counts.lost > lost;
  }

  private async identify(nodeId: string, secret: string | null): Promise<void> {
    const kept = await this.nodes.secretHash(nodeId);
    if (secret === null || kept !== hashOf(secret)) throw new ControlPlaneError('node', 401, 'unauthenticated');
  }
}

function hashOf(secret: string): string {
  return `hash of ${secret}`;
}
