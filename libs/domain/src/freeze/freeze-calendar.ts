import type { Instant } from '../instant.js';
import type { ListeningGap } from '../listening.js';
import { parseWindow, type Freeze } from './freeze.js';
import { instantsOf, localTimeOf, type LocalTime } from './local-time.js';

/** A time of a window; half-open. */
export interface FrozenTime extends ListeningGap {
  freeze: Freeze;
}

/** All times that touch `from`-`to`, and perhaps a few around them, by when they begin. */
interface Calendar {
  from: Instant;
  to: Instant;
  times: readonly FrozenTime[];
}

const dayMilliseconds = 86_400_000;
export const weekMilliseconds = 7 * dayMilliseconds;
/** 1970-01-01 was a Thursday. */
const firstMonday = -3 * dayMilliseconds;
/** So far around what is asked for a calendar is worked out. */
const aroundMilliseconds = weekMilliseconds;
/** So far around what is asked for a calendar keeps what it had: looks ask for what has been and for what will be in turn. */
const keptMilliseconds = 20 * weekMilliseconds;
/** What is older is left out. */
const weeksMax = 520;
/** Clocks are set forward and back by less. */
const clockChangeMax = dayMilliseconds;

/** By the freezes as JSON: a policy is read anew at every look, and time zones are slow. The oldest goes first, also of a policy's calendars. */
const calendars = new Map<string, Calendar[]>();
const policyCountMax = 32;
const calendarCountMax = 4;
const keys = new WeakMap<readonly Freeze[], string>();

/** The times of freezes that touch `from`-`to`, and perhaps others around them, by when they begin. */
export function timesOf(freezes: readonly Freeze[], from: Instant, to: Instant): readonly FrozenTime[] {
  if (freezes.length === 0) return [];
  const key = keys.get(freezes) ?? JSON.stringify(freezes);
  keys.set(freezes, key);
  const known = calendars.get(key);
  const covering = known?.find((calendar) => calendar.from <= from && to <= calendar.to);
  if (covering) return covering.times;
  const neighbour = known?.find((calendar) => calendar.from <= to && from <= calendar.to);
  const calendar = makeCalendar(freezes, from, to, neighbour);
  const [oldest] = calendars.keys();
  if (!known && calendars.size >= policyCountMax && oldest !== undefined) calendars.delete(oldest);
  const others = known?.filter((each) => each !== neighbour) ?? [];
  calendars.set(key, [calendar, ...others].slice(0, calendarCountMax));
  return calendar.times;
}

/** With what a calendar that overlaps it had, as far as that is not far away. */
function makeCalendar(
  freezes: readonly Freeze[],
  earliest: Instant,
  latest: Instant,
  { from: knownFrom, to: knownTo }: Pick<Calendar, 'from' | 'to'> = { from: earliest, to: latest },
): Calendar {
  const to = Math.max(latest + aroundMilliseconds, Math.min(knownTo, latest + keptMilliseconds));
  const wished = Math.min(earliest - aroundMilliseconds, Math.max(knownFrom, earliest - keptMilliseconds));
  const from = Math.max(wished, to - weeksMax * weekMilliseconds);
  const times = freezes.flatMap((freeze) => occurrences(freeze, from, to)).sort((a, b) => a.from - b.from);
  return { from, to, times };
}

function occurrences(freeze: Freeze, from: Instant, to: Instant): FrozenTime[] {
  const { windows, timeZone } = freeze;
  const earliest = localTimeOf(from, timeZone) - clockChangeMax;
  const latest = localTimeOf(to, timeZone) + clockChangeMax;
  const last = mondayOf(latest);
  const first = mondayOf(earliest) - weekMilliseconds;
  return windows.flatMap((window) => {
    const { kind, from: begin, to: end } = parseWindow(window);
    if (kind === 'once') return [toTime(freeze, begin, end)];
    const length = end > begin ? end - begin : end - begin + weekMilliseconds;
    const times: FrozenTime[] = [];
    for (let monday = first; monday <= last; monday += weekMilliseconds) {
      const local = monday + begin;
      if (local <= latest && local + length >= earliest) times.push(toTime(freeze, local, local + length));
    }
    return times;
  });
}

function toTime(freeze: Freeze, begin: LocalTime, end: LocalTime): FrozenTime {
  const [from] = instantsOf(begin, freeze.timeZone);
  const ends = instantsOf(end, freeze.timeZone);
  return { freeze, from, to: ends.at(-1) ?? ends[0] };
}

function mondayOf(local: LocalTime): LocalTime {
  return Math.floor((local - firstMonday) / weekMilliseconds) * weekMilliseconds + firstMonday;
}
