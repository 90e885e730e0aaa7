import { Injectable } from '@nestjs/common';
import type { EnvironmentName } from '@hotswap/domain';
import { ClusterStore, MetricStore, type MeasuredTraffic } from '@hotswap/orchestrator';
import { Problem } from '../problem/problem.js';
import { measure } from './measure.js';
import type { EventSource } from '../streams/event-streams.js';
import type { ClusterMetricsDto, MetricsQuery } from './metrics.dto.js';

const windowSecondsDefault = 60;
const windowSecondsMax = 7 * 86_400;
const pointCountMax = 1000;
const pointCountDefault = 12;

/** Streams of the same question share an answer that is younger than this. */
const sharedMilliseconds = 1000;
const followMilliseconds = 2000;

/** Reads what an environment's nodes measured and puts it together. */
@Injectable()
export class ClusterMetrics {
  /** By question; each for a moment. */
  private readonly shared = new Map<string, Promise<ClusterMetricsDto>>();

  constructor(
    private readonly metrics: MetricStore,
    private readonly clusters: ClusterStore,
  ) {}

  /** The same answer again every two seconds. */
  follow(environment: EnvironmentName, query: MetricsQuery): EventSource {
    return {
      read: async () => ({ events: [{ type: 'metrics', data: await this.readShared(environment, query) }] }),
      intervalMilliseconds: followMilliseconds,
      isWoken: false,
    };
  }

  private readShared(environment: EnvironmentName, query: MetricsQuery): Promise<ClusterMetricsDto> {
    const question = JSON.stringify([environment, query]);
    const known = this.shared.get(question);
    if (known) return known;
    const answer = this.read(environment, query);
    this.shared.set(question, answer);
    setTimeout(() => this.shared.delete(question), sharedMilliseconds).unref();
    return answer;
  }

  /** Throws a Problem for a window that makes no sense. */
  async read(environment: EnvironmentName, query: MetricsQuery): Promise<ClusterMetricsDto> {
    const to = query.to ?? (await this.metrics.now());
    const from = query.from ?? new Date(to.getTime() - windowSecondsDefault * 1000);
    const windowSeconds = (to.getTime() - from.getTime()) / 1000;
    const stepSeconds = stepOf(windowSeconds, query.stepSeconds);
    const window = { environment, from, to, module: query.moduleName ?? null };
    const [[whole], points, cluster] = await Promise.all([
      this.metrics.read({ ...window, stepSeconds: null }),
      this.metrics.read({ ...window, stepSeconds }),
      this.clusters.load(environment),
    ]);
    const traffic = whole?.traffic ?? [];
    const byModule = Map.groupBy(traffic, ({ module, version }) => `${module}@${version}`);
    const byNode = new Map<string, MeasuredTraffic[]>(cluster.nodes.map(({ id }) => [id, []]));
    for (const each of traffic) byNode.set(each.nodeId, [...(byNode.get(each.nodeId) ?? []), each]);
    return {
      environment,
      at: to.toISOString(),
      windowSeconds,
      cluster: measure(traffic, windowSeconds),
      modules: [...byModule.values()].map((parts) => ({
        name: parts[0]!.module,
        version: parts[0]!.version,
        ...measure(parts, windowSeconds),
      })),
      nodes: [...byNode].map(([id, parts]) => ({ id, ...measure(parts, windowSeconds) })),
      series: points.map((point) => ({ at: point.at.toISOString(), ...measure(point.traffic, stepSeconds) })),
    };
  }
}

function stepOf(windowSeconds: number, asked: number | undefined): number {
  if (windowSeconds <= 0 || windowSeconds > windowSecondsMax)
    throw Problem.invalid([{ pointer: '?from', message: 'must be before `to`, by at most a week' }]);
  const step = asked ?? Math.max(1, Math.ceil(windowSeconds / pointCountDefault));
  if (windowSeconds / step > pointCountMax)
    throw Problem.invalid([
      { pointer: '?stepSeconds', message: `is too short: the series has at most ${pointCountMax} points` },
    ]);
  return step;
}
