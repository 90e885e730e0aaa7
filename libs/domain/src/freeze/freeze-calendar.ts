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
/** What is older is left out. */
const weeksMax = 520;
/** Clocks are set forward and back by less. */
const clockChangeMax = dayMilliseconds;

/** By the freezes as JSON: a policy is read anew at every look, and time zones are slow. The oldest goes first. */
const calendars = new Map<string, Calendar>();
const calendarCountMax = 32;
const keys = new WeakMap<readonly Freeze[], string>();

/** The times of freezes that touch `from`-`to`, and perhaps others around them, by when they begin. */
export function timesOf(freezes: readonly Freeze[], from: Instant, to: Instant): readonly FrozenTime[] {
  if (freezes.length === 0) return [];
  const key = keys.get(freezes) ?? JSON.stringify(freezes);
  keys.set(freezes, key);
  const known = calendars.get(key);
  if (known && known.from <= from && to <= known.to) return known.times;
  const calendar = makeCalendar(freezes, Math.min(from, known?.from ?? from), Math.max(to, known?.to ?? to));
  const [oldest] = calendars.keys();
  if (!known && calendars.size >= calendarCountMax && oldest !== undefined) calendars.delete(oldest);
  calendars.set(key, calendar);
  return calendar.times;
}

function makeCalendar(freezes: readonly Freeze[], earliest: Instant, latest: Instant): Calendar {
  const from = earliest - aroundMilliseconds;
  const to = latest + aroundMilliseconds;
  const times = freezes.flatMap((freeze) => occurrences(freeze, from, to)).sort((a, b) => a.from - b.from);
  return { from, to, times };
}

function occurrences(freeze: Freeze, from: Instant, to: Instant): FrozenTime[] {
  const { windows, timeZone } = freeze;
  const earliest = localTimeOf(from, timeZone) - clockChangeMax;
  const latest = localTimeOf(to, timeZone) + clockChangeMax;
  const last = mondayOf(latest);
  const first = Math.max(mondayOf(earliest) - weekMilliseconds, last - weeksMax * weekMilliseconds);
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
