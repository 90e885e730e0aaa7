import type { Instant } from '../instant.js';
import type { ListeningGap } from '../listening.js';
import { runningRolloutRules, type Freeze, type RunningRolloutRule } from './freeze.js';
import { timesOf, weekMilliseconds } from './freeze-calendar.js';

/** What is in force at one moment. */
export interface ActiveFreeze {
  names: string[];
  /** The strictest of those in force. */
  runningRollouts: RunningRolloutRule;
  /** When nothing is frozen any more; windows that follow on one another are one time. */
  until: Instant;
}

/** So far the windows that follow on one another are looked for, at first and then; what freezes for ever ends nowhere. */
const horizonsWeeks = [1, 16];
const thawWeeksMax = 15;

/** The freezes in force at a moment; null: none. */
export function findFreeze(freezes: readonly Freeze[], at: Instant): ActiveFreeze | null {
  const active = timesOf(freezes, at, at).filter(({ from, to }) => from <= at && at < to);
  if (active.length === 0) return null;
  const strictness = Math.max(...active.map(({ freeze }) => runningRolloutRules.indexOf(freeze.runningRollouts)));
  const names = new Set(active.map(({ freeze }) => freeze.name));
  return {
    names: freezes.map(({ name }) => name).filter((name) => names.has(name)),
    runningRollouts: runningRolloutRules[strictness] ?? 'hold',
    until: endOf(freezes, Math.max(...active.map(({ to }) => to))),
  };
}

/** The frozen times that overlap `from`-`to`, cut to it; in order, not overlapping. `rule`: only of freezes with it. */
export function frozenTimes(
  freezes: readonly Freeze[],
  from: Instant,
  to: Instant,
  rule: RunningRolloutRule | null = null,
): ListeningGap[] {
  const merged: ListeningGap[] = [];
  for (const time of timesOf(freezes, from, to)) {
    if (rule !== null && time.freeze.runningRollouts !== rule) continue;
    const [begin, end] = [Math.max(from, time.from), Math.min(to, time.to)];
    if (begin >= end) continue;
    const last = merged.at(-1);
    if (last && begin <= last.to) last.to = Math.max(last.to, end);
    else merged.push({ from: begin, to: end });
  }
  return merged;
}

/** When so much time without a freeze has passed since then; what is frozen later than fifteen weeks from then is not looked at. */
export function thawedAfter(freezes: readonly Freeze[], from: Instant, milliseconds: number): Instant {
  let left = milliseconds;
  let at = from;
  for (const frozen of frozenTimes(freezes, from, from + thawWeeksMax * weekMilliseconds)) {
    if (frozen.from - at >= left) break;
    left -= frozen.from - at;
    at = frozen.to;
  }
  return at + left;
}

/** The end of what follows without a break on a freeze that is in force up to `until`. */
function endOf(freezes: readonly Freeze[], until: Instant): Instant {
  let end = until;
  for (const weeks of horizonsWeeks) {
    const horizon = until + weeks * weekMilliseconds;
    for (const time of timesOf(freezes, until, horizon)) {
      if (time.from > horizon) break;
      if (time.from > end) return end;
      end = Math.max(end, time.to);
    }
    if (end < horizon) return end;
  }
  return end;
}
