import type { PhaseName, ReleaseSpec } from '@hotswap/agent-protocol';
import { messageOf } from './errors.js';

export type { PhaseName } from '@hotswap/agent-protocol';

/** What was counted while something was done. */
export interface PhaseFigures {
  /** `load`: whether the process (or thread) had been started ahead. */
  isSpare?: boolean;
  /** `activate`: requests that waited while state changed hands, and the state's size. */
  held?: number;
  stateBytes?: number;
  /** `drain`: of the requests that were in flight, those that ended, and those that did not in time. */
  drained?: number;
  cut?: number;
  /** `retire`: what the instance has used in all, and the most memory it was seen to have. */
  cpuSeconds?: number;
  rssBytesMax?: number;
}

/** One thing that was done with a release, when it has ended. */
export interface Phase {
  spec: ReleaseSpec;
  /** W3C traceparent of the assignment that was in force when it began. */
  traceparent: string | null;
  /**
   * `activate` ends when the pointer is set to the release; `drain` lasts from when it was replaced until nothing is in flight, or was cut;
   * `retire` from when it is not wanted any more until its process has ended.
   */
  phase: PhaseName;
  /** Milliseconds since 1970, with fractions. */
  startedAt: number;
  endedAt: number;
  figures: PhaseFigures;
  /** Why it failed; null: it did not. */
  error: string | null;
}

/**
 * Runs `work`, tells how long it took, what it noted and whether it failed, and answers as it did. Nothing is told of what `isGivenUp` when it fails: that the
 * host ended it is no failure of the release, nor a time that says anything.
 */
export type MeasurePhase = <T>(
  phase: PhaseName,
  spec: ReleaseSpec,
  work: (figures: PhaseFigures) => Promise<T>,
  isGivenUp?: () => boolean,
) => Promise<T>;

/** @param traceparent of the assignment in force at the time of the call. */
export function phaseMeasure(traceparent: () => string | null, onPhase: (phase: Phase) => void): MeasurePhase {
  return async (phase, spec, work, isGivenUp = () => false) => {
    const figures: PhaseFigures = {};
    const begun = { spec, traceparent: traceparent(), phase, startedAt: now(), figures };
    try {
      const result = await work(figures);
      onPhase({ ...begun, endedAt: now(), error: null });
      return result;
    } catch (error) {
      if (!isGivenUp()) onPhase({ ...begun, endedAt: now(), error: messageOf(error) });
      throw error;
    }
  };
}

/** Monotonic within the process. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
