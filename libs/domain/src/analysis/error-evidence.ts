import { bet, newEProcess, probabilityOf, pushStart, shareFactors, stake, wealthOf } from './e-process.js';
import type { EProcess } from './e-process.js';
import type { AnalysisParameters } from './parameters.js';
import type { Pool } from './pool.js';

/** errS is switched off once the twin itself differs from stable by this E. */
const ageGuardMax = 10;
/** `abs` accuses a share above this many times the other arms' rate. */
const absRatio = 5;
/** A fiftieth of an error in one request: what the other arms' rate is taken to be before anything was seen. */
const priorErrors = 0.02;
const priorRequests = 1;

export interface ErrorEvidence {
  /** Candidate against its reference. */
  err: EProcess;
  /** Candidate against twin and stable together. */
  errS: EProcess;
  /** Twin against stable: what age alone does. */
  age: EProcess;
  /** The highest E of `age` so far. */
  ageMax: number;
  /** Candidate's share of failures against a fixed limit. */
  abs: EProcess;
  /** Decayed errors and requests of the other arms. */
  otherErrors: number;
  otherRequests: number;
}

export function newErrorEvidence({ G }: AnalysisParameters): ErrorEvidence {
  const process = newEProcess(G);
  return { err: process, errS: process, age: process, ageMax: 1, abs: process, otherErrors: 0, otherRequests: 0 };
}

export function startErrorEvidence(evidence: ErrorEvidence, { J }: AnalysisParameters): ErrorEvidence {
  return {
    ...evidence,
    err: pushStart(evidence.err, J),
    errS: pushStart(evidence.errS, J),
    age: pushStart(evidence.age, J),
    abs: pushStart(evidence.abs, J),
  };
}

/** Takes one block in; `elapsedSeconds` is its length. */
export function addErrors(
  evidence: ErrorEvidence,
  parameters: AnalysisParameters,
  pool: Pool,
  weight: number,
  elapsedSeconds: number,
): ErrorEvidence {
  const { G, J, rho, rhoS, absHalf, qAbs } = parameters;
  const { C, reference, stable } = pool;
  const err = bet(evidence.err, shareFactors(G, C.errors, reference.errors, probabilityOf(rho * pool.odds)));

  let { errS, age, ageMax } = evidence;
  // At half the requests each, C and T leave nothing to stable: it is idle, and says nothing.
  if (stable !== null && weight < 0.5) {
    const candidateOdds = rhoS * (weight / (1 - weight));
    const twinOdds = rhoS * (weight / (1 - 2 * weight));
    errS = bet(errS, shareFactors(G, C.errors, reference.errors + stable.errors, probabilityOf(candidateOdds)));
    age = bet(age, shareFactors(G, reference.errors, stable.errors, probabilityOf(twinOdds)));
    ageMax = Math.max(ageMax, wealthOf(age, J));
  }

  const keep = 2 ** (-elapsedSeconds / absHalf);
  const otherErrors = evidence.otherErrors * keep + reference.errors + (stable?.errors ?? 0);
  const otherRequests = evidence.otherRequests * keep + reference.requests + (stable?.requests ?? 0);
  const limit = Math.max(qAbs, (absRatio * (otherErrors + priorErrors)) / (otherRequests + priorRequests));
  const abs =
    C.requests > 0 && limit < 0.5
      ? bet(
          evidence.abs,
          G.map((g) => stake(g, C.requests, C.errors / C.requests / limit - 1)),
        )
      : evidence.abs;
  return { err, errS, age, ageMax, abs, otherErrors, otherRequests };
}

/** E of the error metrics. errS is worth no more than what the twin's own difference from stable leaves of it. */
export function errorWealth(evidence: ErrorEvidence, { J }: AnalysisParameters) {
  const { ageMax } = evidence;
  return {
    err: wealthOf(evidence.err, J),
    errS: ageMax >= ageGuardMax ? 1 : wealthOf(evidence.errS, J) / Math.max(1, ageMax),
    abs: wealthOf(evidence.abs, J),
  };
}
