import type { NodeReport } from '@hotswap/agent-protocol';

const lookMs = 100;

/** What this process itself uses, per interval. */
export class ProcessFigures {
  private usage = process.cpuUsage();
  private longestDelayMs = 0;
  private expectedAtMs = performance.now() + lookMs;
  private readonly timer = setInterval(() => this.look(), lookMs).unref();

  /** Figures since the last call; the event loop's delay is the longest that a timer was late. */
  take(): NodeReport['process'] {
    const used = process.cpuUsage(this.usage);
    this.usage = process.cpuUsage();
    const overdueMs = performance.now() - this.expectedAtMs;
    const eventLoopDelaySeconds = Math.max(0, this.longestDelayMs, overdueMs) / 1000;
    this.longestDelayMs = 0;
    return {
      cpuSeconds: (used.user + used.system) / 1e6,
      rssBytes: process.memoryUsage.rss(),
      eventLoopDelaySeconds,
    };
  }

  close(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const now = performance.now();
    this.longestDelayMs = Math.max(this.longestDelayMs, now - this.expectedAtMs);
    this.expectedAtMs = now + lookMs;
  }
}
