import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { findFreeze, findWindowFault, frozenTimes, isoInstant, isTimeZone, type Freeze } from '@hotswap/domain';

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

it('is in force at a moment exactly where its times say so, in any zone', () => {
  const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia'];
  const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
  const time = fc
    .tuple(fc.constantFrom(...days), fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
    .map(([day, hour, minute]) => `${day} ${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`);
  let frozen = 0;
  fc.assert(
    fc.property(
      time,
      time,
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
