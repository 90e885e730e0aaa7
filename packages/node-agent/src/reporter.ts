import type { NodeReport, ReportedNodeState, TrafficSample } from '@hotswap/agent-protocol';
import type { AgentLog } from './agent-log.js';
import { Backoff } from './backoff.js';
import { ControlPlaneError } from './control-plane.js';

const intervalMs = 1_000;
/** Changes that follow each other within this time are told in one report. */
const coalesceMs = 25;
const undeliveredCountMax = 60;

/** What is true of the node now; sent with each report as it is at that time. */
export type NodeStatus = Pick<NodeReport, 'accepted' | 'refused' | 'diverged' | 'modules' | 'memory'>;

/** One closed interval: counts that are delivered once, under a sequence number of their own, and the state at its end. */
interface Interval extends Pick<
  NodeReport,
  'sequence' | 'state' | 'intervalSeconds' | 'traffic' | 'probes' | 'process'
> {
  endedAtMs: number;
}

export interface ReporterOptions {
  bootId: string;
  log: AgentLog;
  /** What the node's own process used since the last call. */
  figures: { take(): NodeReport['process'] };
  state(): ReportedNodeState;
  status(): NodeStatus;
  takeTraffic(): TrafficSample[];
  takeProbes(): TrafficSample[];
  /** Each interval's traffic, once, as it is closed. */
  onTraffic(traffic: readonly TrafficSample[]): void;
  send(report: NodeReport, signal: AbortSignal): Promise<void>;
  /** The control plane refused the report's sender; resolves when it is worth trying again. */
  onRefused(error: ControlPlaneError): Promise<void>;
}

/**
 * Tells the control plane what is true, once a second and at once when something changed, one report at a time. Traffic that can't be
 * delivered waits, up to 60 intervals of it, and is sent later in order; what is older is dropped and counted.
 */
export class Reporter {
  private readonly undelivered: Interval[] = [];
  private readonly stopping = new AbortController();
  private readonly backoff = new Backoff(250, 2_000);
  private timer: NodeJS.Timeout | null = null;
  private coalescing: NodeJS.Timeout | null = null;
  private sending: Promise<void> | null = null;
  private intervalStartedAtMs = performance.now();
  private sequence = 0;
  private changed = false;
  private connected = false;
  private failing = false;
  private droppedCount = 0;

  constructor(private readonly options: ReporterOptions) {}

  /** Begins to count intervals; nothing is sent before `connect`. */
  start(): void {
    this.timer = setInterval(() => this.closeInterval(), intervalMs);
  }

  /** The node has joined: reports may be sent. */
  connect(): void {
    this.connected = true;
    this.deliver();
  }

  /** The node's state has changed: a report of its own tells it, however short the state. */
  noticeState(): void {
    if (!this.stopping.signal.aborted) this.closeInterval();
  }

  /** Something that `status` tells has changed. */
  notice(): void {
    this.changed = true;
    // Whatever waits to be sent carries the status of that time.
    if (!this.connected || this.sending || this.coalescing || this.stopping.signal.aborted) return;
    this.coalescing = setTimeout(() => {
      this.coalescing = null;
      if (this.changed && !this.sending) this.closeInterval();
    }, coalesceMs);
  }

  /** Sends what is left, for so long at most, then no more. */
  async finish(timeoutMs: number): Promise<void> {
    this.stopTimers();
    const deadline = setTimeout(() => this.stopping.abort(), timeoutMs);
    while (this.connected && this.undelivered.length > 0 && !this.stopping.signal.aborted) {
      this.deliver();
      await this.sending;
    }
    clearTimeout(deadline);
    this.stopping.abort();
  }

  /** Says nothing more, from now on. */
  stop(): void {
    this.stopTimers();
    this.stopping.abort();
  }

  private stopTimers(): void {
    if (this.timer) clearInterval(this.timer);
    if (this.coalescing) clearTimeout(this.coalescing);
    this.timer = this.coalescing = null;
  }

  private closeInterval(): void {
    const now = performance.now();
    const intervalSeconds = (now - this.intervalStartedAtMs) / 1000;
    this.intervalStartedAtMs = now;
    const traffic = this.options.takeTraffic();
    const probes = this.options.takeProbes();
    this.options.onTraffic(traffic);
    this.undelivered.push({
      sequence: ++this.sequence,
      state: this.options.state(),
      intervalSeconds,
      endedAtMs: now,
      traffic,
      ...(probes.length > 0 && { probes }),
      process: this.options.figures.take(),
    });
    while (this.undelivered.length > undeliveredCountMax) {
      this.undelivered.shift();
      this.droppedCount++;
    }
    this.deliver();
  }

  private deliver(): void {
    if (!this.connected || this.sending || this.stopping.signal.aborted) return;
    this.sending = this.sendAll().finally(() => {
      this.sending = null;
      if (this.changed) this.notice();
    });
  }

  private async sendAll(): Promise<void> {
    const { signal } = this.stopping;
    for (let interval; (interval = this.undelivered[0]) && !signal.aborted;) {
      this.changed = false;
      try {
        await this.options.send(this.toReport(interval), signal);
        this.delivered(interval);
      } catch (error) {
        if (signal.aborted) return;
        await this.failed(interval, error as Error);
      }
    }
  }

  private toReport({ endedAtMs, ...counts }: Interval): NodeReport {
    const ageSeconds = (performance.now() - endedAtMs) / 1000;
    return { bootId: this.options.bootId, ...this.options.status(), ...counts, ageSeconds };
  }

  private delivered(interval: Interval): void {
    this.forget(interval);
    this.backoff.reset();
    if (!this.failing) return;
    this.failing = false;
    this.options.log.info({ droppedCount: this.droppedCount }, 'reports are delivered again');
    this.droppedCount = 0;
  }

  private async failed(interval: Interval, error: Error): Promise<void> {
    this.changed = true;
    if (error instanceof ControlPlaneError) {
      if (error.permanent) {
        this.options.log.error({ sequence: interval.sequence }, `a report is given up: ${error.message}`);
        this.forget(interval);
        return;
      }
      if (error.fenced || error.decommissioned || error.unknownNode) await this.options.onRefused(error);
    }
    if (!this.failing) this.options.log.warn(`reports can't be delivered, trying on: ${error.message}`);
    this.failing = true;
    await this.backoff.wait(this.stopping.signal);
  }

  private forget(interval: Interval): void {
    if (this.undelivered[0] === interval) this.undelivered.shift();
  }
}
