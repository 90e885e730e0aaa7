import type { Arm } from '@hotswap/domain';
import type { Scenario } from './scenario.js';
import { latencyBucketSeconds, SimulatedCluster } from './simulated-cluster.js';

/** What a minute of a group of nodes looked like. */
interface Minute {
  errorRate: number;
  requests: number;
  p99Seconds: number;
  cpuPerRequest: number;
}

/** First second at which each judge would have rolled back; null: never. */
export interface NodeJudgements {
  thresholds: number | null;
  limits: number | null;
  rankTest: number | null;
}

const minutesBefore = 10;

/**
 * The customary judges on the same simulated cluster: a tenth of the nodes (at least one) runs the candidate alone, and
 * from the second minute on it is compared once a minute with the minutes before the deployment (fixed thresholds), with fixed limits, and with
 * the other nodes (Mann-Whitney, as Kayenta does it; with one node: with the minutes before).
 */
export function judgeByNodes(scenario: Scenario, seeds: readonly number[], seconds: number): NodeJudgements {
  const before: Minute[] = [];
  const canary: Minute[] = [];
  const others: Minute[] = [];
  // The minutes before run without incidents of their own: the most favourable case for a comparison with the past.
  const past = new SimulatedCluster({ ...scenario, world: { ...scenario.world, incident: 'none' } }, [...seeds, 1]);
  const cluster = new SimulatedCluster(scenario, [...seeds, 1]);
  const canaryCount = Math.max(1, Math.round(cluster.nodeIds.length / 10));
  const canaryIds = cluster.nodeIds.slice(0, canaryCount);
  const otherIds = cluster.nodeIds.slice(canaryCount);
  for (let minute = 0; minute < minutesBefore; minute++) before.push(observeMinute(past, canaryIds, 'S'));

  // Fresh processes warm up for a minute, which these judges have nothing to compare with.
  observeMinute(cluster, canaryIds, 'C');
  const found: NodeJudgements = { thresholds: null, limits: null, rankTest: null };
  while (cluster.at < seconds) {
    canary.push(observeMinute(cluster, canaryIds, 'C'));
    // The other group is the same minute's: it is read at the second where the canary's minute ended.
    others.push(
      otherIds.length > 0 ? readMinute(cluster, otherIds, 'S') : (before[others.length % minutesBefore] as Minute),
    );
    const latest = canary.at(-1) as Minute;
    if (exceedsThresholds(latest, before)) found.thresholds ??= cluster.at;
    if (exceedsLimits(latest)) found.limits ??= cluster.at;
    if (isRankedWorse(canary, others)) found.rankTest ??= cluster.at;
  }
  return found;
}

function observeMinute(cluster: SimulatedCluster, nodeIds: readonly string[], arm: Arm): Minute {
  for (let second = 0; second < 60; second++) cluster.advance();
  return readMinute(cluster, nodeIds, arm);
}

function readMinute(cluster: SimulatedCluster, nodeIds: readonly string[], arm: Arm): Minute {
  const { requests, errors, cpuSeconds, latency } = cluster.observe(nodeIds, arm, 60);
  const total = latency.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  const bucket = latency.findIndex((count) => (seen += count) >= 0.99 * total);
  return {
    requests,
    errorRate: requests === 0 ? 0 : errors / requests,
    p99Seconds: latencyBucketSeconds[Math.min(bucket, latencyBucketSeconds.length - 1)] ?? 0,
    cpuPerRequest: requests === 0 ? 0 : cpuSeconds / requests,
  };
}

/** Errors above twice (and .1 points above), p99 above 1.3 times, CPU above 1.25 times the mean of the minutes before. */
function exceedsThresholds(minute: Minute, before: readonly Minute[]): boolean {
  const mean = (of: (minute: Minute) => number) => before.reduce((sum, each) => sum + of(each), 0) / before.length;
  const errorRate = mean((each) => each.errorRate);
  return (
    minute.requests > 0 &&
    (minute.errorRate > Math.max(2 * errorRate, errorRate + 0.001) ||
      minute.p99Seconds > 1.3 * mean((each) => each.p99Seconds) ||
      minute.cpuPerRequest > 1.25 * mean((each) => each.cpuPerRequest))
  );
}

/** Errors above 5 % of at least 50 requests, p99 above half a second. */
function exceedsLimits(minute: Minute): boolean {
  return minute.requests >= 50 && (minute.errorRate > 0.05 || minute.p99Seconds > 0.5);
}

/** One-sided at 1 %, from the fifth minute, and the mean at least a tenth worse: errors, p99 or CPU. */
function isRankedWorse(canary: readonly Minute[], others: readonly Minute[]): boolean {
  if (canary.length < 5) return false;
  return [
    (minute: Minute) => minute.errorRate,
    (minute: Minute) => minute.p99Seconds,
    (minute: Minute) => minute.cpuPerRequest,
  ].some((of) => {
    const a = canary.map(of);
    const b = others.map(of);
    return sum(a) > 1.1 * sum(b) && rankScore(a, b) > 2.326;
  });
}

/** Normal score of Mann-Whitney's U with the correction for ties. */
function rankScore(a: readonly number[], b: readonly number[]): number {
  let wins = 0;
  for (const x of a) for (const y of b) wins += x > y ? 1 : x === y ? 0.5 : 0;
  const count = a.length + b.length;
  const groups = new Map<number, number>();
  for (const value of [...a, ...b]) groups.set(value, (groups.get(value) ?? 0) + 1);
  const ties = sum([...groups.values()].map((size) => size ** 3 - size));
  const variance = ((a.length * b.length) / 12) * (count + 1 - ties / (count * (count - 1)));
  return variance === 0 ? 0 : (wins - (a.length * b.length) / 2) / Math.sqrt(variance);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
