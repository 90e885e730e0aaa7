import { emptyLatencyHistogram, latencyQuantileSeconds } from '@hotswap/agent-protocol';
import type { MeasuredTraffic } from '@hotswap/orchestrator';
import type { MeasuresDto } from './metrics.dto.js';

const mebibyte = 1024 * 1024;

/** What traffic sums over `seconds` amount to. */
export function measure(traffic: readonly MeasuredTraffic[], seconds: number): MeasuresDto {
  const requests = sum(traffic, (each) => each.requests);
  const failures = sum(traffic, (each) => each.failures);
  const cpuSeconds = sum(traffic, (each) => each.cpuSeconds);
  const rssBytes = sum(traffic, (each) => each.rssBytes);
  const delays = traffic.map((each) => each.eventLoopDelaySeconds).filter((delay) => delay !== null);
  return {
    requests,
    requestsPerSecond: requests === null ? null : rounded(requests / seconds),
    failures,
    errorRatePercent: requests ? rounded((100 * (failures ?? 0)) / requests) : null,
    latencyMs: measureLatency(traffic),
    inFlight: sum(traffic, (each) => each.inFlight),
    cpuPercent: cpuSeconds === null ? null : rounded((100 * cpuSeconds) / seconds),
    memoryMiB: rssBytes === null ? null : rounded(rssBytes / mebibyte),
    eventLoopDelayMs: delays.length === 0 ? null : rounded(Math.max(...delays) * 1000),
  };
}

function measureLatency(traffic: readonly MeasuredTraffic[]): MeasuresDto['latencyMs'] {
  const histogram = emptyLatencyHistogram();
  for (const { latency } of traffic)
    latency.forEach((count, index) => (histogram[index] = (histogram[index] ?? 0) + count));
  const answered = histogram.reduce((total, count) => total + count, 0);
  const seconds = traffic.reduce((total, { latencySumSeconds }) => total + latencySumSeconds, 0);
  const quantile = (q: number) => milliseconds(latencyQuantileSeconds(histogram, q));
  return {
    mean: answered === 0 ? null : milliseconds(seconds / answered),
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
  };
}

/** Null where no part has a number. */
function sum(traffic: readonly MeasuredTraffic[], number: (each: MeasuredTraffic) => number | null): number | null {
  const numbers = traffic.map(number).filter((each) => each !== null);
  return numbers.length === 0 ? null : numbers.reduce((total, each) => total + each, 0);
}

function milliseconds(seconds: number | null): number | null {
  return seconds === null ? null : rounded(seconds * 1000);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
