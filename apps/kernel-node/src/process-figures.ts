import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { NodeReport } from '@hotswap/agent-protocol';

const resolutionMs = 20;

/** What this process itself uses, per interval. */
export class ProcessFigures {
  private readonly delay = monitorEventLoopDelay({ resolution: resolutionMs });
  private usage = process.cpuUsage();

  constructor() {
    this.delay.enable();
  }

  /** Figures since the last call; the event loop's delay is its 99th percentile. */
  take(): NodeReport['process'] {
    const used = process.cpuUsage(this.usage);
    this.usage = process.cpuUsage();
    // The histogram holds the time between two ticks of a timer, the timer's own period included.
    const delayMs = this.delay.count > 0 ? this.delay.percentile(99) / 1e6 - resolutionMs : 0;
    this.delay.reset();
    return {
      cpuSeconds: (used.user + used.system) / 1e6,
      rssBytes: process.memoryUsage.rss(),
      eventLoopDelaySeconds: Math.max(0, delayMs / 1000),
    };
  }

  close(): void {
    this.delay.disable();
  }
}
