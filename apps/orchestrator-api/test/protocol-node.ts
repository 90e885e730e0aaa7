import { setTimeout as pause } from 'node:timers/promises';
import { protocolPaths, type JoinResponse, type ModuleReport, type NodeDocument } from '@hotswap/agent-protocol';

/** A node as the control plane sees one: it joins by the protocol, takes each document, and says at once that it is true. */
export class ProtocolNode {
  /** What it gave its requests to, in order, as versions. */
  readonly served: string[] = [];
  private readonly stopping = new AbortController();
  private running: Promise<void> | null = null;
  private sequence = 0;

  constructor(
    private readonly url: string,
    readonly id: string,
    private readonly onActive: (nodeId: string, version: string) => void = () => undefined,
  ) {}

  /** Ends once it was heard of as Ready. */
  async start(): Promise<void> {
    const joined = await this.post<JoinResponse>(protocolPaths.join, null, {
      nodeId: this.id,
      environment: 'Development',
      bootId: `${this.id}-boot`,
      pid: process.pid,
      hostname: 'host',
      address: 'http://127.0.0.1:1',
      zone: null,
      kernelVersion: '1.0.0',
      accepted: null,
    });
    await this.report(joined.secret, joined.document);
    this.running = this.follow(joined.secret);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async follow(secret: string): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      // As a node does: what is not answered, or with a failure, is asked for again.
      await this.fetchDocument(secret)
        .then((document) => this.report(secret, document))
        .catch(() => undefined);
      await pause(50, undefined, { signal }).catch(() => undefined);
    }
  }

  private async fetchDocument(secret: string): Promise<NodeDocument> {
    const answer = await fetch(this.url + protocolPaths.document(this.id), {
      headers: { authorization: `Bearer ${secret}`, 'x-hotswap-boot': `${this.id}-boot` },
      signal: AbortSignal.timeout(5_000),
    });
    if (!answer.ok) throw new Error(`The document was answered ${answer.status}`);
    return (await answer.json()) as NodeDocument;
  }

  private async report(secret: string, { epoch, revision, modules }: NodeDocument): Promise<void> {
    for (const { active } of modules) {
      if (!active || this.served.at(-1) === active.version) continue;
      this.served.push(active.version);
      this.onActive(this.id, active.version);
    }
    await this.post(protocolPaths.reports(this.id), secret, {
      bootId: `${this.id}-boot`,
      sequence: this.sequence++,
      state: 'Ready',
      accepted: { epoch, revision },
      refused: null,
      intervalSeconds: 0.05,
      modules: modules.flatMap(({ module, active }): ModuleReport[] =>
        active
          ? [
              {
                module,
                active: active.digest,
                candidate: null,
                candidatePercent: 0,
                servingFallback: false,
                instances: [
                  {
                    release: active.digest,
                    version: active.version,
                    state: 'Active',
                    error: null,
                    failureKind: null,
                    crashes: 0,
                    pid: 1,
                  },
                ],
              },
            ]
          : [],
      ),
      traffic: [],
      process: { cpuSeconds: 0, rssBytes: 1, eventLoopDelaySeconds: 0 },
    });
  }

  private async post<T>(path: string, secret: string | null, body: object): Promise<T> {
    const answer = await fetch(this.url + path, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(secret !== null && { authorization: `Bearer ${secret}`, 'x-hotswap-boot': `${this.id}-boot` }),
      },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${text}`);
    return (text === '' ? null : JSON.parse(text)) as T;
  }
}
