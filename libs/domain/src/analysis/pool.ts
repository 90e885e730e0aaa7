import type { ArmSample, BlockEvent, NodeSample } from './events.js';
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
  let stable: Pool['stable'] = twin ? { requests: 0, errors: 0 } : null;
  let candidateReported = false;
  let referenceReported = false;
  for (const id of stage.nodes) {
    const sample = samples.get(id);
    const candidate = sample?.arms.C;
    const reference = twin ? sample?.arms.T : sample?.arms.S;
    candidateReported ||= candidate !== undefined;
    referenceReported ||= reference !== undefined;
    if (!sample || !candidate || !reference || wasReset(sample) || isExcluded(id)) continue;
    nodes.push({ id, C: candidate, reference });
    const rest = sample.arms.S;
    stable = stable && rest ? { requests: stable.requests + rest.requests, errors: stable.errors + rest.errors } : null;
  }
  return {
    nodes,
    C: sumArm(nodes.map((node) => node.C)),
    reference: sumArm(nodes.map((node) => node.reference)),
    stable,
    odds: twin ? 1 : stage.weight / (1 - stage.weight),
    candidateReported,
    referenceReported,
  };
}

function wasReset({ arms: { C, T, S } }: NodeSample): boolean {
  return isNegative(C) || isNegative(T) || isNegative(S);
}

/** Plain loops and no allocation: this runs over every bucket of every node each second. */
function isNegative(arm: ArmSample | undefined): boolean {
  if (arm === undefined) return false;
  if (arm.requests < 0 || arm.errors < 0 || (arm.cpuSeconds ?? 0) < 0) return true;
  const { latency } = arm;
  for (let i = 0; i < latency.length; i++) if ((latency[i] as number) < 0) return true;
  return false;
}

function sumArm(samples: readonly ArmSample[]): ArmPool {
  const latency = new Array<number>(samples[0]?.latency.length ?? 0).fill(0);
  let requests = 0;
  let errors = 0;
  for (const sample of samples) {
    requests += sample.requests;
    errors += sample.errors;
    const counts = sample.latency;
    for (let i = 0; i < counts.length; i++) (latency[i] as number) += counts[i] as number;
  }
  return { requests, errors, latency };
}
