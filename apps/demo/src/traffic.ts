import { Agent, request } from 'node:http';

const answerMilliseconds = 20_000;

export interface TrafficCounts {
  requests: number;
  failed: number;
  /** Answers by `name@version`. */
  versions: Map<string, { requests: number; failed: number }>;
}

/** People paying: so many askers at once, each asks the next node after a pause once it has its answer. A request failed without an answer, or with a 5xx. */
export class Traffic {
  readonly counts: TrafficCounts = { requests: 0, failed: 0, versions: new Map() };
  private readonly agent = new Agent({ keepAlive: true });
  private isRunning = true;
  private payments = 0;
  private readonly askers: Promise<void>[];

  constructor(
    private readonly addresses: readonly string[],
    askerCount: number,
    private readonly pauseMilliseconds: number,
  ) {
    this.askers = Array.from({ length: askerCount }, (_, index) => this.ask(index));
  }

  async stop(): Promise<void> {
    this.isRunning = false;
    await Promise.all(this.askers);
    this.agent.destroy();
  }

  private async ask(first: number): Promise<void> {
    for (let turn = first; this.isRunning; turn++) {
      await this.pay(this.addresses[turn % this.addresses.length] ?? '');
      await new Promise((resolve) => setTimeout(resolve, this.pauseMilliseconds));
    }
  }

  private pay(address: string): Promise<void> {
    const body = JSON.stringify({
      amount: 1250,
      currency: this.payments % 2 === 0 ? 'EUR' : 'USD',
      card: '4242424242424242',
      reference: `demo-${++this.payments}`,
    });
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    return new Promise((resolve) => {
      let isSettled = false;
      const settle = (status: number | null, version: string | null) => {
        if (!isSettled) this.count(status, version);
        isSettled = true;
        resolve();
      };
      const outgoing = request(`${address}/payment-processor/payments`, { method: 'POST', agent: this.agent, headers });
      outgoing.once('response', (response) => {
        const version = response.headers['x-hotswap-module'];
        response.resume();
        response.once('close', () =>
          settle(
            response.complete ? (response.statusCode ?? null) : null,
            typeof version === 'string' ? version : null,
          ),
        );
      });
      outgoing.setTimeout(answerMilliseconds, () => outgoing.destroy(new Error('no answer')));
      outgoing.once('error', () => settle(null, null));
      outgoing.end(body);
    });
  }

  private count(status: number | null, version: string | null): void {
    const isFailed = status === null || status >= 500;
    const key = version ?? '(no answer)';
    const of = this.counts.versions.get(key) ?? { requests: 0, failed: 0 };
    this.counts.versions.set(key, { requests: of.requests + 1, failed: of.failed + (isFailed ? 1 : 0) });
    this.counts.requests++;
    if (isFailed) this.counts.failed++;
  }
}
