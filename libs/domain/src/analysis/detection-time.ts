import { probabilityOf } from './e-process.js';
import type { AnalysisParameters } from './parameters.js';

export interface DetectionQuestion {
  /** Requests per second of the whole module on all nodes. */
  requestsPerSecond: number;
  /** Error share of a healthy release, 0-1. */
  errorRate: number;
  /** Candidate's share of the requests, 0-0.5. */
  weight: number;
  /** How many times worse the candidate is. */
  errorRatio: number;
}

/**
 * Minutes until an error rate `errorRatio` times as high is contained, at one weight; Infinity where the margins allow it. To be shown
 * before a deployment: "x2 needs 28 min at 5 %, 2.8 min at 50 %". The wealth grows by the Kullback-Leibler divergence per
 * error in the mean (the growth rate of a bet, Waudby-Smith & Ramdas), and has J |G| / (alpha W) to reach. Add 10-20 s for very large effects: a
 * second's stake is bounded.
 */
export function detectionMinutes(parameters: AnalysisParameters, question: DetectionQuestion): number {
  const { requestsPerSecond, errorRate, weight: w, errorRatio: x } = question;
  const { alpha, rho, rhoS, G, J, W, twin } = parameters;
  const candidateErrorsPerMinute = 60 * requestsPerSecond * w * errorRate;
  const minutes = (metricWeight: number, margin: number, odds: number) => {
    if (x <= margin || metricWeight === 0 || odds <= 0) return Infinity;
    const information = (x + 1 / odds) * divergence(probabilityOf(x * odds), probabilityOf(margin * odds));
    return Math.log((J * G.length) / (alpha * metricWeight)) / (candidateErrorsPerMinute * information);
  };
  if (!twin) return minutes(W.err, rho, w / (1 - w));
  return Math.min(minutes(W.err, rho, 1), w < 0.5 ? minutes(W.errS, rhoS, w / (1 - w)) : Infinity);
}

/** Kullback-Leibler divergence of two coins, in nats. */
function divergence(p: number, q: number): number {
  return p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q));
}
