import type { FailureKind } from '@hotswap/agent-protocol';
import type { HostTiming } from './timing.js';

/** The bytes are what they are: trying again soon is of no use. */
const lasting: ReadonlySet<FailureKind> = new Set(['digest', 'signature', 'artifact']);

/** Pause before the next try after `failures` (>= 1) failed ones in a row, the last of the given kind. */
export function retryPauseSeconds(kind: FailureKind, failures: number, timing: HostTiming): number {
  if (lasting.has(kind)) return timing.retrySecondsMax;
  return Math.min(timing.retrySeconds * 2 ** (failures - 1), timing.retrySecondsMax);
}

/**
 * What follows a crash, the latest of `crashedAtSeconds` (ascending): a single one is answered by a restart at once, a
 * repeated one after a growing pause, a crash loop after the longest.
 */
export function afterCrash(
  crashedAtSeconds: readonly number[],
  timing: HostTiming,
): { crashLoop: boolean; pauseSeconds: number; countInWindow: number } {
  const latest = crashedAtSeconds.at(-1) ?? 0;
  const countInWindow = crashedAtSeconds.filter((at) => latest - at < timing.crashWindowSeconds).length;
  if (countInWindow >= timing.crashLoopCount)
    return { crashLoop: true, pauseSeconds: timing.retrySecondsMax, countInWindow };
  const pauseSeconds =
    countInWindow <= 1 ? 0 : Math.min(timing.retrySeconds * 2 ** (countInWindow - 2), timing.retrySecondsMax);
  return { crashLoop: false, pauseSeconds, countInWindow };
}
