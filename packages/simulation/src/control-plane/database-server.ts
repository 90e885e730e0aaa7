import type { Random } from '../runtime/random.js';
import type { Scheduler } from '../runtime/scheduler.js';
import { SimulatedProcess } from '../runtime/simulated-process.js';

/** Beyond what a claim lasts. */
const lateCommitMillisecondsMax = 8_000;

/** The database's process, as those see it that are connected to it. Its rows are in a MemoryDatabase. */
export class DatabaseServer {
  readonly process = new SimulatedProcess('database');
  /** It takes no connections. */
  isRefusing = false;
  /** So long at most before a statement runs, and before its answer is there. */
  latencyMillisecondsMax = 2;
  /** Share of commits that come seconds after their look: somebody else has looked, decided and committed by then. */
  lateCommits = 0;
  readonly counts = { calls: 0, refused: 0, orphaned: 0 };

  constructor(
    private readonly scheduler: Scheduler,
    private readonly random: Random,
  ) {}

  /**
   * A store as a process reaches it over its connections: each method is one transaction, some time after it was called; its answer comes some time
   * after that. Whoever ends in between never hears of it, and what was sent is done all the same.
   */
  connect<T extends object>(store: T, by: SimulatedProcess): T {
    return new Proxy(store, {
      get: (target, name) => {
        const method = Reflect.get(target, name) as unknown;
        if (typeof method !== 'function') return method;
        return (...parameters: unknown[]) =>
          this.call(by, name, () => (method as (...given: unknown[]) => Promise<unknown>).apply(target, parameters));
      },
    });
  }

  private call(by: SimulatedProcess, name: string | symbol, work: () => Promise<unknown>): Promise<unknown> {
    this.counts.calls++;
    return new Promise((resolve, reject) => {
      const isLate = name === 'commit' && this.random.chance(this.lateCommits);
      const delay = isLate ? this.random.between(200, lateCommitMillisecondsMax) : this.latency();
      this.scheduler.schedule(this.process, delay, () => {
        const answer = (settle: () => void) => this.scheduler.schedule(by, this.latency(), settle);
        if (!by.isAlive && name === 'commit') this.counts.orphaned++;
        if (this.isRefusing) {
          this.counts.refused++;
          answer(() => reject(new Error('the database takes no connections')));
          return;
        }
        work().then(
          (value) => answer(() => resolve(value)),
          (error: Error) => answer(() => reject(error)),
        );
      });
    });
  }

  private latency(): number {
    return this.random.chance(0.02)
      ? this.random.between(0, 50 * this.latencyMillisecondsMax)
      : this.random.between(0.1, this.latencyMillisecondsMax);
  }
}
