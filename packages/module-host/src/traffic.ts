import {
  emptyLatencyHistogram,
  latencyBucketOf,
  type ReleaseSpec,
  type TrafficRole,
  type TrafficSample,
} from '@hotswap/agent-protocol';

/** What one release experiences on this node in one role, summed over the instances it had; counts are handed out once. */
export class ReleaseTraffic {
  inFlight = 0;
  #requests = 0;
  #failures = 0;
  #latency = emptyLatencyHistogram();
  #latencySumSeconds = 0;
  #cpuSeconds: number | null = null;
  #eventLoopDelaySeconds: number | null = null;
  #rssBytes = new Map<object, number>();

  constructor(
    private readonly spec: ReleaseSpec,
    private readonly role: TrafficRole,
  ) {}

  get digest(): string {
    return this.spec.digest;
  }

  /** A request is over: its answer was passed on, broke off, or will never come. `seconds` until the answer's head, or until there was none. */
  count(seconds: number, failed: boolean): void {
    this.#requests++;
    if (failed) this.#failures++;
    this.#latency[latencyBucketOf(seconds)]! += 1;
    this.#latencySumSeconds += seconds;
  }

  /** @param cpuSeconds used since that instance's statistics before. */
  observe(instance: object, cpuSeconds: number, rssBytes: number, eventLoopDelaySeconds: number): void {
    this.#cpuSeconds = (this.#cpuSeconds ?? 0) + cpuSeconds;
    this.#rssBytes.set(instance, rssBytes);
    this.#eventLoopDelaySeconds = Math.max(this.#eventLoopDelaySeconds ?? 0, eventLoopDelaySeconds);
  }

  forget(instance: object): void {
    this.#rssBytes.delete(instance);
  }

  /** Counts since the last call; null where there is nothing to tell: no request, no process. */
  take(): TrafficSample | null {
    if (this.#requests === 0 && this.inFlight === 0 && this.#rssBytes.size === 0) return null;
    const sample: TrafficSample = {
      module: this.spec.module,
      release: this.spec.digest,
      version: this.spec.version,
      role: this.role,
      requests: this.#requests,
      failures: this.#failures,
      latency: this.#latency,
      latencySumSeconds: this.#latencySumSeconds,
      inFlight: this.inFlight,
      cpuSeconds: this.#cpuSeconds,
      rssBytes: this.#rssBytes.size === 0 ? null : [...this.#rssBytes.values()].reduce((sum, bytes) => sum + bytes, 0),
      eventLoopDelaySeconds: this.#eventLoopDelaySeconds,
    };
    this.#requests = 0;
    this.#failures = 0;
    this.#latency = emptyLatencyHistogram();
    this.#latencySumSeconds = 0;
    this.#cpuSeconds = null;
    this.#eventLoopDelaySeconds = null;
    return sample;
  }
}
