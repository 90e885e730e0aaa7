import { Agent, request } from 'node:http';

const answerSeconds = 20;
const failureSamplesMax = 20;

export interface LoadOptions {
  /** All nodes that get requests, in turn; as the API gives them. */
  addresses: string[];
  /** So many requests are in flight at once. */
  connections?: number;
  route?: string;
  /** Each asker waits so long before its next request: 0 loads as hard as the nodes answer. */
  pauseMilliseconds?: number;
}

/** What the load has seen so far. A request failed when it had no answer, or one of 400 and above: all of them are right. */
export interface LoadCounts {
  total: number;
  failed: number;
  failures: { address: string; method: string; status: number | null; reason: string }[];
  /** Answers by `x-hotswap-module` (`name@version`); without that header, by `(none)`. */
  versions: Map<string, number>;
  /** When the newest of them came, in milliseconds since 1970. */
  lastAnswerAt: Map<string, number>;
}

/**
 * Requests for the payment module over keep-alive connections: every other one a payment in euros by POST, the rest GETs. Closed
 * loop: each of its askers goes on to the next node once it has its answer.
 */
export class ClosedLoopLoad {
  readonly counts: LoadCounts = { total: 0, failed: 0, failures: [], versions: new Map(), lastAnswerAt: new Map() };
  private running = false;
  /** Every payment has a reference of its own: 2.2.0 fails by its hash. */
  private payments = 0;
  private loops: Promise<void>[] = [];
  private readonly agents = new Map<string, Agent>();

  constructor(private readonly options: LoadOptions) {
    if (options.addresses.length === 0) throw new RangeError('The load needs at least one node');
  }

  start(): this {
    const { addresses, connections = 8 } = this.options;
    this.running = true;
    for (const address of addresses) this.agents.set(address, new Agent({ keepAlive: true, maxSockets: connections }));
    this.loops = Array.from({ length: connections }, (_, index) => this.loop(index));
    return this;
  }

  /** Lets what is in flight end, and answers the counts. */
  async stop(): Promise<LoadCounts> {
    this.running = false;
    await Promise.all(this.loops);
    for (const agent of this.agents.values()) agent.destroy();
    return this.counts;
  }

  private async loop(first: number): Promise<void> {
    const { addresses, pauseMilliseconds = 0 } = this.options;
    for (let turn = first; this.running; turn++) {
      // The agents keep the connections; one round over the nodes is payments, the next is GETs.
      await this.ask(addresses[turn % addresses.length] ?? '', Math.floor(turn / addresses.length) % 2 === 0);
      if (pauseMilliseconds > 0) await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds));
    }
  }

  private ask(address: string, pays: boolean): Promise<void> {
    const { route = 'payment-processor' } = this.options;
    const url = `${address}/${route}/${pays ? 'payments' : 'version'}`;
    const method = pays ? 'POST' : 'GET';
    return new Promise((resolve) => {
      let settled = false;
      const settle = (status: number | null, reason: string | null, version: string | null) => {
        if (settled) return;
        settled = true;
        this.count(version, reason === null ? null : { address, method, status, reason });
        resolve();
      };
      const payment = JSON.stringify({
        amount: 1250,
        currency: 'EUR',
        card: '4242424242424242',
        reference: `load-${++this.payments}`,
      });
      const headers = pays ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payment) } : {};
      const outgoing = request(url, { method, headers, agent: this.agents.get(address) }, (response) => {
        const status = response.statusCode ?? 0;
        const header = response.headers['x-hotswap-module'];
        const version = typeof header === 'string' ? header : '(none)';
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (body = (body + chunk).slice(0, 500)));
        response.once('end', () => settle(status, status >= 400 ? body : null, version));
        response.once('error', (error) => settle(status, `cut off: ${error.message}`, version));
      });
      outgoing.setTimeout(answerSeconds * 1000, () => outgoing.destroy(new Error(`no answer in ${answerSeconds} s`)));
      outgoing.once('error', (error) => settle(null, error.message, null));
      outgoing.end(pays ? payment : undefined);
    });
  }

  private count(version: string | null, failure: LoadCounts['failures'][number] | null): void {
    const { counts } = this;
    counts.total++;
    if (version !== null) {
      counts.versions.set(version, (counts.versions.get(version) ?? 0) + 1);
      counts.lastAnswerAt.set(version, Date.now());
    }
    if (failure === null) return;
    counts.failed++;
    if (counts.failures.length < failureSamplesMax) counts.failures.push(failure);
  }
}
