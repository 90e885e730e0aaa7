import { bet, newEProcess, probabilityOf, shareFactors, wealthOf } from './e-process.js';
import type { EProcess } from './e-process.js';
import type { AnalysisParameters } from './parameters.js';
import type { Pool } from './pool.js';

/**
 * Does the router toss the coin it says? Requests of C against those of its reference, tested on both sides over the whole
 * deployment. An alarm is a fault of the router, not a verdict on the candidate (Lindon & Malek, arXiv 2011.03567).
 */
export interface SampleRatio {
  tooMany: EProcess;
  tooFew: EProcess;
}

export function newSampleRatio({ G }: AnalysisParameters): SampleRatio {
  return { tooMany: newEProcess(G), tooFew: newEProcess(G) };
}

export function addRequests(ratio: SampleRatio, { G }: AnalysisParameters, { C, reference, odds }: Pool): SampleRatio {
  return {
    tooMany: bet(ratio.tooMany, shareFactors(G, C.requests, reference.requests, probabilityOf(odds))),
    tooFew: bet(ratio.tooFew, shareFactors(G, reference.requests, C.requests, probabilityOf(1 / odds))),
  };
}

/** Mean of both sides: one E-value. */
export function sampleRatioWealth({ tooMany, tooFew }: SampleRatio): number {
  return (wealthOf(tooMany, 1) + wealthOf(tooFew, 1)) / 2;
}
