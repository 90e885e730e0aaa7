import { protocolPaths, type JoinResponse, type NodeDocument, type NodeReport } from '@hotswap/agent-protocol';

const reportMilliseconds = 200;

/** Speaks a node's protocol, and says of all that it is asked that it is done; runs nothing. */
export class ObedientNode {
  private sequence = 0;
  private ended: Promise<void> = Promise.resolve();
  private isEnding = false;

  private constructor(
    private readonly url: string,
    private readonly id: string,
    private readonly secret: string,
  ) {}

  static async join(url: string, nodeId: string, environment: string): Promise<ObedientNode> {
    const body = {
      nodeId,
      environment,
      bootId: `${nodeId}-boot`,
      pid: 1,
      hostname: 'host',
      address: 'http://127.0.0.1:7301',
      zone: null,
      kernelVersion: '1.0.0',
      accepted: null,
    };
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url + protocolPaths.join, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${nodeId} could not join: ${response.status} ${await response.text()}`);
    const node = new ObedientNode(url, nodeId, ((await response.json()) as JoinResponse).secret);
    node.ended = node.obey();
    return node;
  }

  async end(): Promise<void> {
    this.isEnding = true;
    await this.ended;
  }

  private async obey(): Promise<void> {
    while (!this.isEnding) {
      const headers = { authorization: `Bearer ${this.secret}`, 'content-type': 'application/json' };
      const answer = await fetch(this.url + protocolPaths.document(this.id), { headers });
      const report = this.report((await answer.json()) as NodeDocument);
      await fetch(this.url + protocolPaths.reports(this.id), { method: 'POST', headers, body: JSON.stringify(report) });
      await new Promise((resolve) => setTimeout(resolve, reportMilliseconds));
    }
  }

  private report({ epoch, revision, modules }: NodeDocument): NodeReport {
    return {
      bootId: `${this.id}-boot`,
      sequence: this.sequence++,
      state: 'Ready',
      accepted: { epoch, revision },
      refused: null,
      intervalSeconds: reportMilliseconds / 1000,
      modules: modules.map(({ module, active, candidate, candidatePercent }) => ({
        module,
        active: active?.digest ?? null,
        candidate: candidate?.digest ?? null,
        candidatePercent,
        servingFallback: false,
        instances: [active, candidate].flatMap((release) =>
          release
            ? [
                {
                  release: release.digest,
                  version: release.version,
                  state: 'Ready',
                  error: null,
                  failureKind: null,
                  crashes: 0,
                  pid: 1,
                },
              ]
            : [],
        ),
      })),
      traffic: [],
      process: { cpuSeconds: 0, rssBytes: 1, eventLoopDelaySeconds: 0 },
    };
  }
}
