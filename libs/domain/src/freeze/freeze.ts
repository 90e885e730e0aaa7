/** What a rollout that is under way does when its environment freezes, from the mildest to the strictest. */
export const runningRolloutRules = ['finish-step', 'hold', 'roll-back'] as const;
export type RunningRolloutRule = (typeof runningRolloutRules)[number];

/**
 * From one local time to another: `Friday 16:00` to `Monday 08:00` every week, or `2026-12-20T16:00` to `2027-01-07T08:00` once. Where the clocks
 * are set back over an end it is the later of the two, over a beginning the earlier.
 */
export interface FreezeWindow {
  from: string;
  to: string;
}

/** Times in which an environment takes nothing new. */
export interface Freeze {
  /** Of its own within a policy. */
  name: string;
  /** Of the windows' times; a name of the IANA database. */
  timeZone: string;
  windows: FreezeWindow[];
  runningRollouts: RunningRolloutRule;
}

const weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const minuteMilliseconds = 60_000;
const dayMilliseconds = 24 * 60 * minuteMilliseconds;

/** Milliseconds from the week's Monday 00:00, or from 1970-01-01T00:00; both on the zone's clock. */
export type ParsedWindow = { kind: 'weekly' | 'once'; from: number; to: number };

export interface WindowFault {
  field: keyof FreezeWindow;
  /** The rest of a sentence that begins with the field. */
  message: string;
}

/** What is wrong with a window; null: nothing. */
export function findWindowFault({ from, to }: FreezeWindow): WindowFault | null {
  const [begin, end] = [parseTime(from), parseTime(to)];
  const form = 'must be a weekday with a time such as "Friday 16:00", or a date with a time such as "2026-12-20T16:00"';
  if (!begin) return { field: 'from', message: form };
  if (!end) return { field: 'to', message: form };
  if (begin.kind !== end.kind)
    return { field: 'to', message: 'must be a weekday where from is one, and a date where from is one' };
  if (begin.kind === 'weekly' && begin.at === end.at) return { field: 'to', message: 'must be another time than from' };
  if (begin.kind === 'once' && end.at <= begin.at) return { field: 'to', message: 'must be after from' };
  return null;
}

/** Throws RangeError where `findWindowFault` finds one. */
export function parseWindow(window: FreezeWindow): ParsedWindow {
  const fault = findWindowFault(window);
  const [from, to] = [parseTime(window.from), parseTime(window.to)];
  if (fault || !from || !to) throw new RangeError(`${fault?.field} ${fault?.message}`);
  return { kind: from.kind, from: from.at, to: to.at };
}

function parseTime(text: string): { kind: ParsedWindow['kind']; at: number } | null {
  const weekly = /^([a-z]+) ([01]\d|2[0-3]):([0-5]\d)$/i.exec(text);
  if (weekly) {
    const [, name = '', hours, minutes] = weekly;
    const day = weekdays.findIndex((each) => each.toLowerCase() === name.toLowerCase());
    const at = day * dayMilliseconds + (Number(hours) * 60 + Number(minutes)) * minuteMilliseconds;
    return day === -1 ? null : { kind: 'weekly', at };
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text)) return null;
  const at = Date.parse(`${text}:00.000Z`);
  // Date.parse takes the 30th of February for the 2nd of March.
  return Number.isNaN(at) || new Date(at).toISOString().slice(0, 16) !== text ? null : { kind: 'once', at };
}
