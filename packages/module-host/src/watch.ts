import { messageOf } from './errors.js';
import { statisticsOf } from './instance-answers.js';
import type { InstanceLink } from './instance-link.js';
import { rssBytesMax } from './process-arguments.js';
import { Pulse } from './pulse.js';
import type { Lodging, Quarters } from './quarters.js';
import { residentBytesOf } from './resident-bytes.js';
import type { HostTiming } from './timing.js';
import type { ReleaseTraffic } from './traffic.js';
import type { InstanceStatistics } from './wire/messages.js';

export interface WatchContext {
  timing: HostTiming;
  quarters: Pick<Quarters, 'measure'>;
  traffic: Pick<ReleaseTraffic, 'observe' | 'forget'>;
}

/**
 * Looks after an instance: what it uses, and whether that is too much; and once it is ready, whether it responds. Its memory is looked at from outside where it has a
 * process, so that one that does not respond, or does not tell the truth, is held to its limit too.
 */
export class Watch {
  #pulse: Pulse | null = null;
  readonly #scale: NodeJS.Timeout;
  readonly #usage = { cpuSeconds: 0, rssBytes: 0, rssBytesMax: 0 };
  #isAsked = false;
  #isOver = false;

  /** @param onHarm it must be ended, for this reason. */
  constructor(
    private readonly lodging: Lodging,
    private readonly link: InstanceLink,
    private readonly limits: { memoryMiB: number },
    private readonly context: WatchContext,
    private readonly onHarm: (reason: string) => void,
  ) {
    this.#scale = setInterval(() => this.#weigh(), context.timing.pingSeconds * 1000);
  }

  /** It is ready. Before, each thing that it is to do has its own deadline. */
  expectPulse(): void {
    const { timing } = this.context;
    this.#pulse = new Pulse(
      timing,
      () => this.#ping(),
      (statistics) => this.#observe(statistics),
      () => this.onHarm(`did not respond for ${timing.stallSeconds} s`),
      (error) => this.#onFailure(error),
    );
  }

  /** As last seen; all zero before. */
  get usage(): { cpuSeconds: number; rssBytes: number; rssBytesMax: number } {
    return this.#usage;
  }

  stop(): void {
    this.#isOver = true;
    this.#pulse?.stop();
    clearInterval(this.#scale);
    this.context.traffic.forget(this.lodging.enclosure);
  }

  async #ping(): Promise<InstanceStatistics> {
    // Its deadline is the pulse's: a late answer is still a sign.
    return statisticsOf(await this.link.call({ call: 'ping' }, 3600));
  }

  /** One that has gone can't answer either; that is told elsewhere. */
  #onFailure(error: unknown): void {
    if (this.link.open && !this.#isOver) this.onHarm(`does not tell how it is: ${messageOf(error)}`);
  }

  #observe({ cpuSeconds, rssBytes: toldBytes, eventLoopDelaySeconds }: InstanceStatistics): void {
    if (this.#isOver) return;
    const { enclosure } = this.lodging;
    const used = Math.max(0, cpuSeconds - this.#usage.cpuSeconds);
    this.#usage.cpuSeconds = cpuSeconds;
    const rssBytes = this.#residentBytes ?? toldBytes;
    if (this.#allows(rssBytes)) this.context.traffic.observe(enclosure, used, rssBytes, eventLoopDelaySeconds);
  }

  #weigh(): void {
    const rssBytes = this.#residentBytes;
    if (rssBytes !== null) this.#allows(rssBytes);
    else if (this.#pulse === null) void this.#askWeight();
  }

  /** A thread's is known from itself alone, and later by its pulse. One that does not answer has the deadline of what it does. */
  async #askWeight(): Promise<void> {
    if (this.#isAsked || !this.link.open) return;
    this.#isAsked = true;
    const statistics = await this.#ping().catch(() => null);
    this.#isAsked = false;
    if (statistics !== null && !this.#isOver) this.#allows(statistics.rssBytes);
  }

  get #residentBytes(): number | null {
    const { pid } = this.lodging.enclosure;
    return pid === null || !this.link.open ? null : residentBytesOf(pid);
  }

  #allows(rssBytes: number): boolean {
    this.#usage.rssBytes = rssBytes;
    this.#usage.rssBytesMax = Math.max(rssBytes, this.#usage.rssBytesMax);
    const [mebibytes, limit] = [rssBytes, rssBytesMax(this.limits)].map((bytes) => Math.round(bytes / 2 ** 20));
    // Before it is counted: nobody else has to leave for what is ended anyway.
    if (rssBytes > rssBytesMax(this.limits))
      this.onHarm(`used ${mebibytes} MiB of memory, more than the ${limit} MiB that its limit allows`);
    else this.context.quarters.measure(this.lodging.claim, rssBytes);
    return rssBytes <= rssBytesMax(this.limits);
  }
}
