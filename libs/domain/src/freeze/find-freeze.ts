import type { Instant } from '../instant.js';
import type { ListeningGap } from '../listening.js';
import { parseWindow, runningRolloutRules, type Freeze, type FreezeWindow, type RunningRolloutRule } from './freeze.js';
import { instantsOf, localTimeOf } from './local-time.js';

/** What is in force at one moment. */
export interface ActiveFreeze {
  names: string[];
  /** The strictest of those in force. */
  runningRollouts: RunningRolloutRule;
  /** When nothing is frozen any more; windows that follow on one another are one time. */
  until: Instant;
}

const dayMilliseconds = 86_400_000;
const weekMilliseconds = 7 * dayMilliseconds;
/** 1970-01-01 was a Thursday. */
const firstMonday = -3 * dayMilliseconds;
/** Windows in a row that are followed to their end; one that freezes for ever ends nowhere. */
const chainMax = 100;
/** A rollout that is older counts its frozen time from here on. */
const weeksMax = 520;

/** The freezes in force at a moment; null: none. */
export function findFreeze(freezes: readonly Freeze[], at: Instant): ActiveFreeze | null {
  const active = inForce(freezes, at);
  if (active.length === 0) return null;
  let until = Math.max(...active.map(({ to }) => to));
  for (let link = 0; link < chainMax; link++) {
    const following = inForce(freezes, until);
    if (following.length === 0) break;
    until = Math.max(...following.map(({ to }) => to));
  }
  const strictness = Math.max(...active.map(({ freeze }) => runningRolloutRules.indexOf(freeze.runningRollouts)));
  return {
    names: [...new Set(active.map(({ freeze }) => freeze.name))],
    runningRollouts: runningRolloutRules[strictness] ?? 'hold',
    until,
  };
}

/** The frozen times that overlap `from`-`to`, cut to it; they may overlap one another. */
export function frozenTimes(freezes: readonly Freeze[], from: Instant, to: Instant): ListeningGap[] {
  return freezes
    .flatMap(({ windows, timeZone }) => windows.flatMap((window) => occurrences(window, timeZone, from, to)))
    .map((time) => ({ from: Math.max(from, time.from), to: Math.min(to, time.to) }))
    .filter((time) => time.from < time.to);
}

function inForce(freezes: readonly Freeze[], at: Instant): { freeze: Freeze; to: Instant }[] {
  return freezes.flatMap((freeze) =>
    freeze.windows
      .flatMap((window) => occurrences(window, freeze.timeZone, at, at))
      .filter(({ from, to }) => from <= at && at < to)
      .map(({ to }) => ({ freeze, to })),
  );
}

/** A window's times that may touch `from`-`to`, and perhaps a few around them; half-open. */
function occurrences(window: FreezeWindow, timeZone: string, from: Instant, to: Instant): ListeningGap[] {
  const { kind, ...times } = parseWindow(window);
  if (kind === 'once') return [toInstants(times, timeZone)];
  const length = times.to > times.from ? times.to - times.from : times.to - times.from + weekMilliseconds;
  const last = mondayOf(localTimeOf(to, timeZone)) + weekMilliseconds;
  const first = Math.max(mondayOf(localTimeOf(from, timeZone)) - weekMilliseconds, last - weeksMax * weekMilliseconds);
  const weeks = Array.from(
    { length: Math.round((last - first) / weekMilliseconds) + 1 },
    (_, week) => first + week * weekMilliseconds,
  );
  return weeks.map((monday) => toInstants({ from: monday + times.from, to: monday + times.from + length }, timeZone));
}

function mondayOf(local: number): number {
  return Math.floor((local - firstMonday) / weekMilliseconds) * weekMilliseconds + firstMonday;
}

function toInstants(local: { from: number; to: number }, timeZone: string): ListeningGap {
  const [from] = instantsOf(local.from, timeZone);
  const ends = instantsOf(local.to, timeZone);
  return { from, to: ends.at(-1) ?? ends[0] };
}
