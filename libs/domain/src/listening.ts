import { second, type Instant } from './instant.js';

/** A time during which no control plane was there to listen; half-open, in order, not overlapping. */
export interface ListeningGap {
  from: Instant;
  to: Instant;
}

/** When someone listened: silence and waiting count only then. After a gap nodes get 15 s to report before they are judged. */
export interface Listening {
  /** The newest beat of a control plane. */
  beatAt: Instant;
  gaps: ListeningGap[];
}

/** Beats further apart than this are a gap. */
export const beatGapMilliseconds = 5 * second;
/** A node that is silent for this long while someone listens is lost. */
export const lostAfterMilliseconds = 15 * second;

/** How long of `from`-`to` someone listened, in milliseconds; never negative. Gaps may overlap and come in any order: each moment counts once. */
export function listenedMilliseconds(from: Instant, to: Instant, gaps: readonly ListeningGap[]): number {
  if (gaps.length === 0) return Math.max(0, to - from);
  let missed = 0;
  let covered = from;
  for (const gap of gaps.toSorted((a, b) => a.from - b.from)) {
    const start = Math.max(covered, gap.from);
    const end = Math.min(to, gap.to);
    if (end <= start) continue;
    missed += end - start;
    covered = end;
  }
  return Math.max(0, to - from - missed);
}

/** True while nodes have not yet had the time to report after the newest gap, or the control plane has not beaten for too long. */
export function isCatchingUp(listening: Listening, now: Instant): boolean {
  if (now - listening.beatAt > beatGapMilliseconds) return true;
  const newest = listening.gaps.at(-1);
  return newest !== undefined && now - newest.to < lostAfterMilliseconds;
}

/** Whether what was heard at `at` was heard since listening last resumed. While nobody listens nothing is: what is known is of before. */
export function isHeardSinceGap(listening: Listening, at: Instant, now: Instant): boolean {
  if (now - listening.beatAt > beatGapMilliseconds) return false;
  return listening.gaps.every(({ to }) => at >= to);
}
