import { bet, newEProcess, probabilityOf, pushStart, shareFactors, wealthOf } from './e-process.js';
import type { EProcess } from './e-process.js';
import type { AnalysisParameters } from './parameters.js';
import type { Pool } from './pool.js';

export interface LatencyEvidence {
  p90: EProcess;
  p99: EProcess;
  /** The reference's decayed histogram; empty before its first block. */
  histogram: readonly number[];
}

/** Buckets of the reference's quantiles. */
export interface LatencyEdges {
  p90: number;
  p99: number;
}

export function newLatencyEvidence({ G }: AnalysisParameters): LatencyEvidence {
  return { p90: newEProcess(G), p99: newEProcess(G), histogram: [] };
}

export function startLatencyEvidence(evidence: LatencyEvidence, { J }: AnalysisParameters): LatencyEvidence {
  return { ...evidence, p90: pushStart(evidence.p90, J), p99: pushStart(evidence.p99, J) };
}

/** Where the reference's p90 and p99 were in the seconds before this block; null before `minEdge` requests. */
export function latencyEdges({ histogram }: LatencyEvidence, { minEdge }: AnalysisParameters): LatencyEdges | null {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  return total < minEdge
    ? null
    : { p90: quantileBucket(histogram, 0.9 * total), p99: quantileBucket(histogram, 0.99 * total) };
}

/**
 * Takes one block in: the candidate's requests above an edge, moved up by the margin, against the reference's above the
 * edge itself. The edge comes from the past only, so the coin is fair for every request of this block.
 */
export function addLatency(
  evidence: LatencyEvidence,
  parameters: AnalysisParameters,
  pool: Pool,
  edges: LatencyEdges | null,
  elapsedSeconds: number,
): LatencyEvidence {
  const shift = marginBuckets(parameters, pool.nodes.length);
  const p0 = probabilityOf(pool.odds);
  const factors = (edge: number) =>
    shareFactors(parameters.G, countAbove(pool.C.latency, edge + shift), countAbove(pool.reference.latency, edge), p0);
  const keep = 2 ** (-elapsedSeconds / parameters.edgeHalf);
  return {
    p90: edges === null ? evidence.p90 : bet(evidence.p90, factors(edges.p90)),
    p99: edges === null ? evidence.p99 : bet(evidence.p99, factors(edges.p99)),
    histogram:
      pool.nodes.length === 0
        ? evidence.histogram.map((count) => count * keep)
        : pool.reference.latency.map((count, i) => (evidence.histogram[i] ?? 0) * keep + count),
  };
}

export function latencyWealth(evidence: LatencyEvidence, { J }: AnalysisParameters) {
  return { p90: wealthOf(evidence.p90, J), p99: wealthOf(evidence.p99, J) };
}

/** Requests in buckets above `bucket`. */
export function countAbove(latency: readonly number[], bucket: number): number {
  let count = 0;
  for (let i = bucket + 1; i < latency.length; i++) count += latency[i] ?? 0;
  return count;
}

/** The latency margin in buckets: instance luck averages out over nodes, so one node needs a wider one (3 sigma). */
function marginBuckets({ tau, F }: AnalysisParameters, nodeCount: number): number {
  if (nodeCount === 0) return 1;
  return Math.max(1, Math.ceil((3 * tau * Math.sqrt(2 / nodeCount)) / Math.log(F) - 1e-9));
}

function quantileBucket(histogram: readonly number[], wanted: number): number {
  let seen = 0;
  for (let i = 0; i < histogram.length; i++) {
    seen += histogram[i] ?? 0;
    if (seen >= wanted) return i;
  }
  return histogram.length - 1;
}
