import type { JoinRequest, JoinResponse, NodeDocument, NodeReport } from '@hotswap/agent-protocol';
import type { ControlPlane } from '@hotswap/node-agent';
import type { Replica } from '../control-plane/replica.js';
import type { Network } from '../runtime/network.js';
import type { SimulatedProcess } from '../runtime/simulated-process.js';

const callMilliseconds = 5_000;

/** The node's side of the node protocol over the simulated network: each call reaches one replica, whichever the balancer picks. */
export class SimulatedControlPlane implements Pick<
  ControlPlane,
  'join' | 'loadDocument' | 'streamDocument' | 'report'
> {
  constructor(
    private readonly process: SimulatedProcess,
    private readonly identity: { nodeId: string; secret: string | null },
    private readonly network: Network,
    private readonly balancer: () => Replica,
  ) {}

  join(request: JoinRequest, token: string | null, signal: AbortSignal): Promise<JoinResponse> {
    return this.call((replica) => replica.api.join(request, token), signal);
  }

  loadDocument(signal: AbortSignal): Promise<NodeDocument> {
    const { nodeId, secret } = this.identity;
    return this.call((replica) => replica.api.document(nodeId, secret), signal);
  }

  report(report: NodeReport, signal: AbortSignal): Promise<void> {
    const { nodeId, secret } = this.identity;
    return this.call((replica) => replica.api.report(nodeId, secret, report), signal);
  }

  async fetchArtifact(digest: string, signal: AbortSignal): Promise<void> {
    return this.call((replica) => replica.api.artifact(digest), signal);
  }

  async streamDocument(
    silenceSeconds: number,
    signal: AbortSignal,
    onDocument: (document: unknown) => Promise<void>,
  ): Promise<void> {
    const replica = this.balancer();
    const { nodeId, secret } = this.identity;
    await this.callOf(replica, () => replica.api.checkStream(nodeId, secret), signal);
    await new Promise<void>((resolve, reject) => {
      let offering = Promise.resolve();
      const silence = setTimeout(
        () => end(() => reject(new Error('the document stream was silent'))),
        silenceSeconds * 1000,
      );
      const abort = () => end(() => reject(signal.reason as Error));
      signal.addEventListener('abort', abort);
      const end = (settle: () => void) => {
        clearTimeout(silence);
        signal.removeEventListener('abort', abort);
        this.network.send(this.process, replica.process, () => stream.end());
        settle();
      };
      const stream = replica.api.openStream(nodeId, this.process, {
        onMessage: (document) => {
          silence.refresh();
          if (document) offering = offering.then(() => onDocument(document));
        },
        onEnd: () => end(resolve),
      });
    });
  }

  private call<T>(serve: (replica: Replica) => Promise<T>, signal: AbortSignal): Promise<T> {
    const replica = this.balancer();
    return this.callOf(replica, () => serve(replica), signal);
  }

  private async callOf<T>(replica: Replica, serve: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.network.call(this.process, replica.process, serve, callMilliseconds, signal);
  }
}
