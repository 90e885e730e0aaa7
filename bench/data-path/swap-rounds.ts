import { setTimeout as pause } from 'node:timers/promises';
import { interruption } from './interruption.js';
import { kinds, SwapClient, type Kind, type Outcome } from './swap-client.js';

/** So many of eight connections are of each kind. */
const ofEight: Record<Kind, number> = { get: 2, close: 1, slow: 2, post: 2, stream: 1 };

export interface RoundTotals {
  requests: number;
  failures: number;
  byKind: Record<Kind, number>;
  /** How often which way. */
  problems: Record<string, number>;
}

/** Requests of all kinds at once; what they experience is counted in all, and their times by round. */
export class SwapRounds {
  readonly totals: RoundTotals = {
    requests: 0,
    failures: 0,
    byKind: { get: 0, close: 0, slow: 0, post: 0, stream: 0 },
    problems: {},
  };
  readonly #clients: SwapClient[];
  #milliseconds: number[] = [];

  constructor(target: ConstructorParameters<typeof SwapClient>[0], connections: number) {
    this.#clients = kinds.flatMap((kind) =>
      Array.from(
        { length: Math.max(1, Math.round((connections * ofEight[kind]) / 8)) },
        () => new SwapClient(target, kind, (outcome) => this.#count(outcome)),
      ),
    );
  }

  /** Lets things settle, then answers the 99th percentile of the short requests' times while `work` goes on. */
  async round(work: () => Promise<void>): Promise<number> {
    await pause(500);
    this.#milliseconds = [];
    await work();
    const sorted = this.#milliseconds.sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.stop();
    await Promise.race([Promise.all(this.#clients.map(({ finished }) => finished)), pause(10_000)]);
  }

  #count({ kind, milliseconds, problem }: Outcome): void {
    // A signal to the whole group ends the server as well.
    if (interruption.aborted) return;
    const { totals } = this;
    totals.requests++;
    totals.byKind[kind]++;
    if (kind === 'get' || kind === 'close' || kind === 'post') this.#milliseconds.push(milliseconds);
    if (problem === null) return;
    totals.failures++;
    const what = `${kind}: ${problem}`;
    totals.problems[what] = (totals.problems[what] ?? 0) + 1;
  }
}
