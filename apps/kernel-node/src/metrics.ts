import {
  latencyBucketSeconds,
  type ModuleReport,
  type ReportedNodeState,
  type TrafficSample,
} from '@hotswap/agent-protocol';
import type { ModuleHost, Phase } from '@hotswap/module-host';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { LatencyHistograms } from './latency-histograms.js';
import { PhaseMetrics } from './phase-metrics.js';
import type { ProblemCode } from './traffic/problem.js';

const states: readonly ReportedNodeState[] = ['Starting', 'Ready', 'LameDuck', 'Draining', 'Gone'];
const releasesMax = 200;
const perRelease = ['module', 'version'] as const;

/** What a scrape reads. Figures of releases are the sums of what the reports say, so they may be a second old. */
export class Metrics {
  private readonly registry = new Registry();
  private readonly latency = new LatencyHistograms(latencyBucketSeconds);
  private readonly releases = new Map<string, { module: string; version: string }>();
  private readonly actives = new Map<string, string>();

  private readonly requests = this.counter('hotswap_requests_total', 'Requests answered by a release.', perRelease);
  private readonly failures = this.counter(
    'hotswap_request_failures_total',
    'Requests that a release answered with 500-599, not in time, or not at all.',
    perRelease,
  );
  private readonly cpu = this.counter(
    'hotswap_instance_cpu_seconds_total',
    "CPU time of a release's process.",
    perRelease,
  );
  private readonly inFlight = this.gauge('hotswap_requests_in_flight', 'Requests a release works on.', perRelease);
  private readonly memory = this.gauge(
    'hotswap_instance_resident_memory_bytes',
    "Resident memory of a release's process.",
    perRelease,
  );
  private readonly eventLoopDelay = this.gauge(
    'hotswap_instance_event_loop_delay_seconds',
    "Event-loop delay of a release's process.",
    perRelease,
  );
  private readonly swaps = this.counter('hotswap_swaps_total', 'Flips of the active release.', ['module']);
  private readonly phases = new PhaseMetrics(this.registry);
  private readonly memoryTaken = this.gauge(
    'hotswap_memory_taken_bytes',
    'Memory kept for instances, by what they are for.',
    ['role'],
  );
  private readonly memoryMax = this.gauge('hotswap_memory_max_bytes', 'Memory that the node has for instances.', []);
  private readonly problems = this.counter('hotswap_problems_total', 'Problems the node itself answered with.', [
    'code',
  ]);
  private readonly state = this.gauge('hotswap_node_state', '1 for the state the node is in.', ['state']);

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  observeTraffic(samples: readonly TrafficSample[]): void {
    for (const sample of samples) {
      const labels = this.labelsOf(sample);
      this.requests.inc(labels, sample.requests);
      this.failures.inc(labels, sample.failures);
      this.cpu.inc(labels, sample.cpuSeconds ?? 0);
      this.latency.add(labels, sample.latency, sample.latencySumSeconds);
      // Of one version there may be a twin beside the active instance: their gauges are told together.
      const same = samples.filter(({ module, version }) => module === sample.module && version === sample.version);
      const sum = (of: (each: TrafficSample) => number) => same.reduce((total, each) => total + of(each), 0);
      this.inFlight.set(
        labels,
        sum(({ inFlight }) => inFlight),
      );
      this.memory.set(
        labels,
        sum(({ rssBytes }) => rssBytes ?? 0),
      );
      this.eventLoopDelay.set(labels, Math.max(...same.map((each) => each.eventLoopDelaySeconds ?? 0)));
    }
    this.forgetGauges(new Set(samples.map(nameOf)));
  }

  /** Counts the flips since the last call. */
  observeModules(reports: readonly ModuleReport[]): void {
    for (const { module, active } of reports) {
      if (active === null || this.actives.get(module) === active) continue;
      this.actives.set(module, active);
      this.swaps.inc({ module });
    }
  }

  observePhase(phase: Phase): void {
    this.phases.observe(phase);
  }

  observeMemory({ bytesMax, taken }: ReturnType<ModuleHost['memory']>): void {
    this.memoryMax.set(bytesMax);
    for (const [role, bytes] of Object.entries(taken)) this.memoryTaken.set({ role }, bytes);
  }

  observeProblem(code: ProblemCode): void {
    this.problems.inc({ code });
  }

  observeState(state: ReportedNodeState): void {
    for (const each of states) this.state.set({ state: each }, each === state ? 1 : 0);
  }

  async render(): Promise<{ contentType: string; text: string }> {
    const text = (await this.registry.metrics()) + this.latency.render('hotswap_request_duration_seconds');
    return { contentType: this.registry.contentType, text };
  }

  /** Of what is not told of any more: its last memory would be counted with that of the others for good. */
  private forgetGauges(told: ReadonlySet<string>): void {
    for (const [name, labels] of this.releases)
      if (!told.has(name)) for (const gauge of [this.inFlight, this.memory, this.eventLoopDelay]) gauge.remove(labels);
  }

  // A node that lives through very many releases forgets the ones it saw first.
  private labelsOf(sample: TrafficSample): { module: string; version: string } {
    const { module, version } = sample;
    const name = nameOf(sample);
    let labels = this.releases.get(name);
    if (labels) return labels;
    labels = { module, version };
    this.releases.set(name, labels);
    const [oldest] = this.releases;
    if (this.releases.size > releasesMax && oldest) {
      const [oldestName, oldestLabels] = oldest;
      this.releases.delete(oldestName);
      for (const metric of [this.requests, this.failures, this.cpu, this.inFlight, this.memory, this.eventLoopDelay])
        metric.remove(oldestLabels);
      this.latency.remove(oldestLabels);
    }
    return labels;
  }

  private counter<T extends string>(name: string, help: string, labelNames: readonly T[]): Counter<T> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  private gauge<T extends string>(name: string, help: string, labelNames: readonly T[]): Gauge<T> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }
}

function nameOf({ module, version }: TrafficSample): string {
  return `${module}@${version}`;
}
