import type { Instant } from '../instant.js';

/** What a wall clock shows: milliseconds from 1970-01-01T00:00 on that clock, whatever its time zone. */
export type LocalTime = number;

const dayMilliseconds = 86_400_000;
/** One per time zone that a policy names: making one takes longer than all that is done with it. */
const formats = new Map<string, Intl.DateTimeFormat>();

/** A time zone's name in the IANA database, such as Europe/Berlin or UTC; plain offsets are none. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** Throws RangeError for an unknown time zone. */
export function localTimeOf(at: Instant, timeZone: string): LocalTime {
  const parts = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(at)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (at % 1000);
}

/**
 * When the clocks of a time zone show this, in order: once, or twice where they are set back over it. Where they are set forward over it, the moment at
 * which they would have shown it had they not been: 02:30 that is skipped is 03:30 (RFC 5545, 3.3.5).
 */
export function instantsOf(local: LocalTime, timeZone: string): [first: Instant, ...later: Instant[]] {
  const before = offsetAt(local - dayMilliseconds, timeZone);
  const after = offsetAt(local + dayMilliseconds, timeZone);
  if (before === after) return [local - before];
  const shown = [...new Set([local - before, local - after])]
    .filter((at) => localTimeOf(at, timeZone) === local)
    .sort((a, b) => a - b);
  const [first = local - before, ...later] = shown;
  return [first, ...later];
}

function offsetAt(at: Instant, timeZone: string): number {
  return localTimeOf(at, timeZone) - at;
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(timeZone, format);
  return format;
}
