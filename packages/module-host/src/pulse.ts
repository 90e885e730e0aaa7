import type { HostTiming } from './timing.js';
import type { InstanceStatistics } from './wire/messages.js';

/**
 * Asks an instance for its statistics again and again. What has not answered for `stallSeconds` is stalled; counted in
 * the kernel's own ticks, so that a kernel that was itself held up does not take it for the instance's silence.
 */
export class Pulse {
  #timer: NodeJS.Timeout;
  #silentTicks = 0;
  #waiting = false;

  constructor(
    private readonly timing: Pick<HostTiming, 'pingSeconds' | 'stallSeconds'>,
    private readonly ping: () => Promise<InstanceStatistics>,
    private readonly onStatistics: (statistics: InstanceStatistics) => void,
    private readonly onStall: () => void,
    /** It answered with a failure, or can't answer; it is not asked again. */
    private readonly onFailure: (error: unknown) => void,
  ) {
    this.#timer = setInterval(() => this.#tick(), timing.pingSeconds * 1000);
    this.#tick();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    if (!this.#waiting) return this.#ask();
    this.#silentTicks++;
    if (this.#silentTicks * this.timing.pingSeconds < this.timing.stallSeconds) return;
    this.stop();
    this.onStall();
  }

  #ask(): void {
    this.#waiting = true;
    this.#silentTicks = 0;
    this.ping().then(
      (statistics) => {
        this.#waiting = false;
        this.onStatistics(statistics);
      },
      (error: unknown) => {
        this.stop();
        this.onFailure(error);
      },
    );
  }
}
