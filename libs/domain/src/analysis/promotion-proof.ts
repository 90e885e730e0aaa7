import { meanExp, probabilityOf, shareFactors, stake } from './e-process.js';
import { countAbove } from './latency-evidence.js';
import type { LatencyEdges } from './latency-evidence.js';
import type { AnalysisParameters } from './parameters.js';
import type { Pool } from './pool.js';

const ratioBets = [0.03, 0.1, 0.3];
const differenceBets = [0.1, 0.3, 0.6];
/** Three buckets of 10 %: "slower" means slower than x1.33. */
const slowerBuckets = 3;

/**
 * The mirrors: tests against "the candidate is worse", so that a healthy one is promoted as soon as it is proved, not when a
 * time is over. Logarithms of the wealth per bet; they run from the first start of an attempt.
 */
export interface PromotionProof {
  /** Against "error rate at least R times the reference's", per stage of the plan. */
  ratio: readonly (readonly number[])[];
  /** Against "error rate at least the reference's plus eps". */
  difference: readonly number[];
  /** Against "slower than x1.33 at the reference's p90". */
  latency: readonly number[];
}

export function newPromotionProof({ R, G }: AnalysisParameters): PromotionProof {
  return {
    ratio: R.map(() => ratioBets.map(() => 0)),
    difference: differenceBets.map(() => 0),
    latency: G.map(() => 0),
  };
}

/** Takes one block in. Every payoff's mean is at most 0 while the candidate is worse, for coins of any fixed odds. */
export function addToProof(
  proof: PromotionProof,
  { R, G, eps }: AnalysisParameters,
  { C, reference, odds }: Pool,
  edges: LatencyEdges | null,
): PromotionProof {
  const errors = C.errors + reference.errors;
  const spared = C.requests + reference.requests - errors;
  const latency =
    edges === null
      ? null
      : shareFactors(
          G,
          countAbove(reference.latency, edges.p90),
          countAbove(C.latency, edges.p90 + slowerBuckets),
          probabilityOf(1 / odds),
        );
  const weight = probabilityOf(odds);
  return {
    ratio:
      errors === 0
        ? proof.ratio
        : proof.ratio.map((wealths, stage) =>
            sum(
              wealths,
              ratioBets.map((g) => stake(g, errors, (reference.errors / errors) * (1 + (R[stage] ?? 1) * odds) - 1)),
            ),
          ),
    difference: sum(
      proof.difference,
      differenceBets.map(
        (g) =>
          spared * Math.log1p(g * weight * eps) +
          C.errors * Math.log1p(g * (weight * eps - 1)) +
          reference.errors * Math.log1p(g * (weight * eps + odds)),
      ),
    ),
    latency: latency === null ? proof.latency : sum(proof.latency, latency),
  };
}

/**
 * E of both proofs for one stage of the plan. "Worse" means worse by R times and by eps, so either disproves it: with few errors
 * the difference does, with many the ratio. Both `errors` and `latency` must reach 1 / beta.
 */
export function proofWealth(proof: PromotionProof, planStage: number): { errors: number; latency: number } {
  return {
    errors: (meanExp(proof.ratio[planStage] ?? [0]) + meanExp(proof.difference)) / 2,
    latency: meanExp(proof.latency),
  };
}

function sum(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value + (b[i] ?? 0));
}
