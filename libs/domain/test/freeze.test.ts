import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import {
  findFreeze,
  findWindowFault,
  frozenTimes,
  isoInstant,
  isTimeZone,
  listenedMilliseconds,
  thawedAfter,
  type Freeze,
} from '@hotswap/domain';

const freeze = (from: string, to: string, timeZone = 'Europe/Berlin', changes: Partial<Freeze> = {}): Freeze => ({
  name: `${from} to ${to}`,
  timeZone,
  windows: [{ from, to }],
  runningRollouts: 'finish-step',
  ...changes,
});
const until = (freezes: Freeze[], at: string) => {
  const found = findFreeze(freezes, Date.parse(at));
  return found && isoInstant(found.until);
};
const weekend = freeze('Friday 16:00', 'Monday 08:00');

describe('A weekly freeze', () => {
  it.each([
    ['2026-11-27T14:59:59.999Z', null],
    ['2026-11-27T15:00:00.000Z', '2026-11-30T07:00:00.000Z'],
    ['2026-11-29T12:00:00.000Z', '2026-11-30T07:00:00.000Z'],
    ['2026-11-30T06:59:59.999Z', '2026-11-30T07:00:00.000Z'],
    ['2026-11-30T07:00:00.000Z', null],
    // In summer the same wall clock is another moment.
    ['2026-07-03T14:00:00.000Z', '2026-07-06T06:00:00.000Z'],
    // Over the night in which the clocks go back: Friday is summer time, Monday is not.
    ['2026-10-23T14:00:00.000Z', '2026-10-26T07:00:00.000Z'],
  ])('at %s lasts until %s', (at, expected) => expect(until([weekend], at)).toBe(expected));

  it('may lie within one day, and may go around the week', () => {
    const noon = freeze('Wednesday 11:00', 'Wednesday 13:00', 'UTC');
    expect(until([noon], '2026-11-25T12:00:00.000Z')).toBe('2026-11-25T13:00:00.000Z');
    expect(until([noon], '2026-11-25T13:00:00.000Z')).toBeNull();
    const allButNoon = freeze('Wednesday 13:00', 'Wednesday 11:00', 'UTC');
    expect(until([allButNoon], '2026-11-25T12:00:00.000Z')).toBeNull();
    expect(until([allButNoon], '2026-11-24T00:00:00.000Z')).toBe('2026-11-25T11:00:00.000Z');
  });

  it('ends at the later of two equal times, and begins at the earlier', () => {
    // 02:30 is shown at 00:30Z and again at 01:30Z on 2026-10-25.
    expect(until([freeze('Saturday 20:00', 'Sunday 02:30')], '2026-10-25T01:29:00.000Z')).toBe(
      '2026-10-25T01:30:00.000Z',
    );
    expect(until([freeze('Sunday 02:30', 'Sunday 12:00')], '2026-10-25T00:29:59.000Z')).toBeNull();
    expect(until([freeze('Sunday 02:30', 'Sunday 12:00')], '2026-10-25T00:30:00.000Z')).toBe(
      '2026-10-25T11:00:00.000Z',
    );
  });

  it('takes a time that the clocks leave out for the one an hour later', () => {
    // 02:30 is left out on 2026-03-29: 01:30Z is 03:30.
    expect(until([freeze('Saturday 20:00', 'Sunday 02:30')], '2026-03-29T01:29:00.000Z')).toBe(
      '2026-03-29T01:30:00.000Z',
    );
  });
});

describe('Freezes together', () => {
  it('are one time where they follow on one another, by the strictest rule in force', () => {
    const holidays = freeze('2026-12-24T00:00', '2027-01-02T00:00', 'Europe/Berlin', { runningRollouts: 'hold' });
    const found = findFreeze([weekend, holidays], Date.parse('2026-12-25T20:00:00.000Z'));
    expect(found).toEqual({
      names: [weekend.name, holidays.name],
      runningRollouts: 'hold',
      until: Date.parse('2027-01-04T07:00:00.000Z'),
    });
  });

  it('without an end are told without one being looked for for ever', () => {
    const always = [freeze('Monday 00:00', 'Friday 00:00', 'UTC'), freeze('Friday 00:00', 'Monday 00:00', 'UTC')];
    expect(findFreeze(always, 0)?.until).toBeGreaterThan(100 * 86_400_000);
  });
});

describe('A window', () => {
  it.each([
    ['Friday 16:00', 'Monday 08:00', null],
    ['friday 16:00', 'MONDAY 08:00', null],
    ['2026-12-20T16:00', '2027-01-07T08:00', null],
    ['Fri 16:00', 'Monday 08:00', 'from: must be a weekday'],
    ['Friday 24:00', 'Monday 08:00', 'from: must be a weekday'],
    ['2026-02-30T00:00', '2026-03-02T00:00', 'from: must be a weekday'],
    ['2026-12-20T16:00', '2026-12-20T16:00', 'to: must be after from'],
    ['Friday 16:00', 'Friday 16:00', 'to: must be another time'],
    ['Friday 16:00', '2027-01-07T08:00', 'to: must be a weekday where from is one'],
  ])('%s to %s: %s', (from, to, fault) => {
    const found = findWindowFault({ from, to });
    expect(found && `${found.field}: ${found.message}`).toEqual(fault && expect.stringContaining(fault));
  });

  it.each([
    ['Europe/Berlin', true],
    ['UTC', true],
    ['Mars/Olympus', false],
    ['+01:00', false],
    ['', false],
  ])('of the time zone %s: %s', (name, expected) => expect(isTimeZone(name)).toBe(expected));
});

const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia'];
const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const hour = 3_600_000;

/** The runtime's own calendar, of which TypeScript's library does not know yet. */
interface Zoned {
  epochMilliseconds: number;
  toPlainDate(): PlainDate;
}
interface PlainDate {
  dayOfWeek: number;
  add(of: object): PlainDate;
  subtract(of: object): PlainDate;
  toPlainDateTime(): PlainDateTime;
}
interface PlainDateTime {
  add(of: object): PlainDateTime;
  toZonedDateTime(zone: string, options: { disambiguation: 'compatible' | 'later' }): Zoned;
}
declare const Temporal: {
  Instant: { fromEpochMilliseconds(at: number): { toZonedDateTimeISO(zone: string): Zoned } };
};

/** The same by the runtime's own calendar, for one weekly window: the end of its time that holds `at`; null: none does. */
function endByCalendar({ timeZone, windows }: Freeze, at: number): number | null {
  const parse = (text: string) => {
    const [day = '', time = ''] = text.split(' ');
    const [hours = 0, minutes = 0] = time.split(':').map(Number);
    return { days: days.indexOf(day), hours, minutes };
  };
  const [from, to] = [parse(windows[0]!.from), parse(windows[0]!.to)];
  const wraps =
    (({ days: d, hours: h, minutes: m }) => (d * 24 + h) * 60 + m)(to) <=
    (from.days * 24 + from.hours) * 60 + from.minutes;
  const today = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone).toPlainDate();
  for (const weeks of [-1, 0, 1]) {
    const monday = today
      .subtract({ days: today.dayOfWeek - 1 })
      .add({ weeks })
      .toPlainDateTime();
    const begin = monday.add(from).toZonedDateTime(timeZone, { disambiguation: 'compatible' }).epochMilliseconds;
    const end = monday
      .add({ ...to, weeks: wraps ? 1 : 0 })
      .toZonedDateTime(timeZone, { disambiguation: 'later' }).epochMilliseconds;
    if (begin <= at && at < end) return end;
  }
  return null;
}

const someTime = fc
  .tuple(fc.constantFrom(...days), fc.integer({ min: 0, max: 23 }), fc.constantFrom(0, 15, 30, 59))
  .map(([day, hours, minute]) => `${day} ${String(hours).padStart(2, '0')}:${String(minute).padStart(2, '0')}`);
const someFreezes = fc.array(
  fc
    .record({ from: someTime, to: someTime, zone: fc.constantFrom(...zones) })
    .filter(({ from, to }) => from !== to)
    .map(({ from, to, zone }) => freeze(from, to, zone, { name: `${from} ${to} ${zone}` })),
  { minLength: 1, maxLength: 4 },
);

it('is what the calendar says, however often and in whatever order it was asked before', () => {
  const moments = fc.array(fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2028, 0) }), {
    minLength: 1,
    maxLength: 3,
  });
  const seen = { frozen: 0, free: 0 };
  fc.assert(
    fc.property(someFreezes, moments, (freezes, asked) => {
      // The runtime's calendar is slow: each moment is asked of it once.
      const told = new Map(
        asked.map((at) => [at, freezes.filter((each) => endByCalendar(each, at) !== null).map(({ name }) => name)]),
      );
      for (const at of [...asked, ...asked.toReversed()]) {
        const expected = told.get(at) ?? [];
        expect(findFreeze(freezes, at)?.names ?? []).toEqual([...new Set(expected)]);
        const inside = frozenTimes(freezes, at, at + hour)[0];
        expect(inside?.from === at).toBe(expected.length > 0);
        seen[expected.length > 0 ? 'frozen' : 'free']++;
      }
    }),
    { numRuns: 40 },
  );
  expect(Math.min(seen.frozen, seen.free)).toBeGreaterThan(10);
});

it('has times in order that do not overlap, and only so much without any of them passes until it has thawed for so long', () => {
  let longer = 0;
  fc.assert(
    fc.property(someFreezes, fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2028, 0) }), (freezes, from) => {
      const times = frozenTimes(freezes, from, from + 21 * 24 * hour);
      times.forEach((time, index) => expect(time.from).toBeGreaterThan(times[index - 1]?.to ?? time.from - 1));
      const until = thawedAfter(freezes, from, 24 * hour);
      const free = listenedMilliseconds(from, until, frozenTimes(freezes, from, until));
      const isFound = until - from <= 15 * 7 * 24 * hour;
      expect(isFound ? free === 24 * hour : free < 24 * hour).toBe(true);
      if (until - from > 24 * hour) longer++;
    }),
    { numRuns: 150 },
  );
  expect(longer).toBeGreaterThan(20);
});

it('works no window out twice, however often it is looked at', () => {
  const time = (index: number) =>
    `${days[index % 7]} ${String(index % 24).padStart(2, '0')}:${String(index % 60).padStart(2, '0')}`;
  const freezes = Array.from({ length: 20 }, (_, each) => ({
    ...freeze('Monday 00:00', 'Monday 00:01', zones[each % zones.length]),
    windows: Array.from({ length: 50 }, (__, index) => ({ from: time(each + index), to: time(each + index + 3) })),
  }));
  const began = Date.UTC(2026, 5, 3);
  // A policy is read anew at each look.
  const look = (at: number) => {
    const read = structuredClone(freezes);
    return [findFreeze(read, at), frozenTimes(read, began, at)];
  };
  const calendar = jest.spyOn(Intl.DateTimeFormat.prototype, 'formatToParts');
  look(began + 14 * 24 * hour);
  expect(calendar.mock.calls.length).toBeGreaterThan(1000);
  calendar.mockClear();
  for (let second = 1; second <= 100; second++) look(began + 14 * 24 * hour + second * 1000);
  expect(calendar).not.toHaveBeenCalled();
  calendar.mockRestore();
});

it('is the same at every look beside one that freezes until further notice', () => {
  const notice = freeze('2026-01-01T00:00', '2099-01-01T00:00', 'UTC');
  const strict = freeze('Friday 16:00', 'Monday 08:00', 'UTC', { runningRollouts: 'hold' });
  const saturday = Date.parse('2026-11-28T12:00:00Z');
  for (let weeks = 0; weeks < 120; weeks += weeks < 3 ? 1 : 13) {
    const at = saturday + weeks * 7 * 24 * hour;
    for (const moment of [at, at, at - 3 * 24 * hour])
      expect([weeks, findFreeze([notice, strict], moment)?.runningRollouts]).toEqual([
        weeks,
        moment === at ? 'hold' : 'finish-step',
      ]);
    expect(frozenTimes([notice, strict], at - 7 * 24 * hour, at + hour, 'hold')).toHaveLength(2);
  }
});

it('is in force at a moment exactly where its times say so, in any zone', () => {
  let frozen = 0;
  fc.assert(
    fc.property(
      someTime,
      someTime,
      fc.constantFrom(...zones),
      fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2028, 0) }),
      (from, to, zone, at) => {
        fc.pre(from !== to);
        const freezes = [freeze(from, to, zone)];
        const around = frozenTimes(freezes, at - 14 * 86_400_000, at + 14 * 86_400_000);
        const inside = around.find((each) => each.from <= at && at < each.to);
        const found = findFreeze(freezes, at);
        expect(found?.until).toBe(inside?.to);
        if (found) frozen++;
        expect(frozenTimes(freezes, at, at + 1)).toHaveLength(inside ? 1 : 0);
      },
    ),
    { numRuns: 200 },
  );
  expect(frozen).toBeGreaterThan(50);
});
