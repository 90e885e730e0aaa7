import type { EnvironmentName } from '@hotswap/domain';

/** Sums over an interval; merge by addition. Latency counts per bucket of `latencyBucketSeconds`. */
export interface MeasuredTraffic {
  /** Node id, module and version that the sums are of. */
  nodeId: string;
  module: string;
  version: string;
  requests: number;
  failures: number;
  latency: number[];
  latencySumSeconds: number;
  inFlight: number;
  /** CPU seconds of the instances in the interval. */
  cpuSeconds: number | null;
  rssBytes: number | null;
  eventLoopDelaySeconds: number | null;
}

export interface MetricPoint {
  at: Date;
  traffic: MeasuredTraffic[];
}

export abstract class MetricStore {
  /**
   * What nodes of the environment reported between `from` and `to`, summed per (node, module, version, role) and per step of `stepSeconds` when given
   * (one point per step, `at` = its end), else one point.
   */
  abstract read(query: {
    environment: EnvironmentName;
    from: Date;
    to: Date;
    stepSeconds: number | null;
    module: string | null;
  }): Promise<MetricPoint[]>;
  /** The database's clock. */
  abstract now(): Promise<Date>;
}
