import type { ArmSample, BlockEvent } from './events.js';
import type { AnalysisParameters } from './parameters.js';

export interface ArmPool {
  requests: number;
  errors: number;
  latency: readonly number[];
}

/** One node's second in which candidate and reference both reported. */
export interface PairedNode {
  id: string;
  C: ArmSample;
  reference: ArmSample;
}

/** A block summed over the nodes that count. The reference is T, or S without a twin. */
export interface Pool {
  nodes: readonly PairedNode[];
  C: ArmPool;
  reference: ArmPool;
  /** Stable's requests and errors; null where a node did not report it. Without a twin: null, stable is the reference. */
  stable: { requests: number; errors: number } | null;
  /** Odds of the candidate against the reference: 1 with the twin. */
  odds: number;
  /** Did any node of the stage report the candidate; the reference? */
  candidateReported: boolean;
  referenceReported: boolean;
}

/**
 * Sums a block over the stage's nodes. A node counts when it reports candidate and reference and no counter was reset;
 * else its whole second is dropped in all arms, because a one-sided second would tilt the coin. The order of the nodes in the
 * block makes no difference.
 */
export function poolBlock(
  parameters: AnalysisParameters,
  stage: { nodes: readonly string[]; weight: number },
  block: BlockEvent,
  isExcluded: (nodeId: string) => boolean,
): Pool {
  const { twin } = parameters;
  const samples = new Map(block.nodes.map((node) => [node.id, node]));
  const nodes: PairedNode[] = [];
  const C = new ArmSum();
  const reference = new ArmSum();
  let stable: Pool['stable'] = twin ? { requests: 0, errors: 0 } : null;
  let candidateReported = false;
  let referenceReported = false;
  for (const id of stage.nodes) {
    const sample = samples.get(id);
    const ofC = sample?.arms.C;
    const ofReference = twin ? sample?.arms.T : sample?.arms.S;
    candidateReported ||= ofC !== undefined;
    referenceReported ||= ofReference !== undefined;
    if (!sample || !ofC || !ofReference || isExcluded(id)) continue;
    const rest = sample.arms.S;
    if (isNegative(twin ? rest : sample.arms.T) || !C.add(ofC)) continue;
    if (!reference.add(ofReference)) {
      C.subtract(ofC);
      continue;
    }
    nodes.push({ id, C: ofC, reference: ofReference });
    stable = stable && rest ? { requests: stable.requests + rest.requests, errors: stable.errors + rest.errors } : null;
  }
  return {
    nodes,
    C,
    reference,
    stable,
    odds: twin ? 1 : stage.weight / (1 - stage.weight),
    candidateReported,
    referenceReported,
  };
}

/** Sums and looks for reset counters in one pass, without allocating: it runs over every bucket of every node each second. */
class ArmSum implements ArmPool {
  requests = 0;
  errors = 0;
  latency: number[] = [];

  /** False, and nothing is added, where a counter was reset. */
  add(sample: ArmSample): boolean {
    const { latency: counts } = sample;
    if (hasNegative(sample)) return false;
    while (this.latency.length < counts.length) this.latency.push(0);
    let lowest = 0;
    for (let i = 0; i < counts.length; i++) {
      const count = counts[i] as number;
      (this.latency[i] as number) += count;
      if (count < lowest) lowest = count;
    }
    this.requests += sample.requests;
    this.errors += sample.errors;
    if (lowest < 0) this.subtract(sample);
    return lowest >= 0;
  }

  subtract({ requests, errors, latency: counts }: ArmSample): void {
    for (let i = 0; i < counts.length; i++) (this.latency[i] as number) -= counts[i] as number;
    this.requests -= requests;
    this.errors -= errors;
  }
}

function isNegative(arm: ArmSample | undefined): boolean {
  if (arm === undefined) return false;
  if (hasNegative(arm)) return true;
  const { latency } = arm;
  for (let i = 0; i < latency.length; i++) if ((latency[i] as number) < 0) return true;
  return false;
}

function hasNegative({ requests, errors, cpuSeconds }: ArmSample): boolean {
  return requests < 0 || errors < 0 || (cpuSeconds ?? 0) < 0;
}
