import type { Random } from './random.js';
import type { Scheduler } from './scheduler.js';
import type { SimulatedProcess } from './simulated-process.js';

/** How the network is at the moment; shares of messages. */
export interface NetworkFaults {
  lost: number;
  doubled: number;
  late: number;
  lateMillisecondsMax: number;
}

export const soundNetwork: NetworkFaults = { lost: 0, doubled: 0, late: 0, lateMillisecondsMax: 0 };

/** Carries calls between processes: messages are lost, late, doubled, and so in another order than they were sent in. */
export class Network {
  faults: NetworkFaults = soundNetwork;
  /** Names of processes that nobody reaches, and who reach nobody. */
  readonly cutOff = new Set<string>();
  readonly counts = { lost: 0, late: 0, doubled: 0 };

  constructor(
    private readonly scheduler: Scheduler,
    private readonly random: Random,
  ) {}

  /** One message: what it does happens at `to`, no time, once or twice. */
  send(from: SimulatedProcess, to: SimulatedProcess, arrive: () => void): void {
    if (this.isLost(from, to)) return;
    this.scheduler.schedule(to, this.latency(), arrive);
    if (!this.random.chance(this.faults.doubled)) return;
    this.counts.doubled++;
    this.scheduler.schedule(to, this.latency() + this.random.between(0, this.faults.lateMillisecondsMax), arrive);
  }

  /** A request and its answer, each a message. Rejects when there is no answer in time, when nobody listens, and as `serve` does. */
  call<T>(
    from: SimulatedProcess,
    to: SimulatedProcess,
    serve: () => Promise<T>,
    timeoutMilliseconds: number,
    signal?: AbortSignal,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => end(() => reject(new Error('timed out'))), timeoutMilliseconds);
      const abort = () => end(() => reject(signal?.reason as Error));
      const end = (settle: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        settle();
      };
      signal?.addEventListener('abort', abort);
      if (!to.isAlive) {
        this.scheduler.schedule(from, 1, () => end(() => reject(new Error('connection refused'))));
        return;
      }
      this.send(from, to, () => {
        serve().then(
          (value) => this.send(to, from, () => end(() => resolve(value))),
          (error: Error) => this.send(to, from, () => end(() => reject(error))),
        );
      });
    });
  }

  private isLost(from: SimulatedProcess, to: SimulatedProcess): boolean {
    const isLost = this.cutOff.has(from.name) || this.cutOff.has(to.name) || this.random.chance(this.faults.lost);
    if (isLost) this.counts.lost++;
    return isLost;
  }

  private latency(): number {
    if (!this.random.chance(this.faults.late)) return this.random.between(0.2, 3);
    this.counts.late++;
    return this.random.between(3, this.faults.lateMillisecondsMax);
  }
}
