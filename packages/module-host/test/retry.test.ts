import { describe, expect, it } from '@jest/globals';
import { afterCrash, retryPauseSeconds } from '../src/retry.js';
import { defaultTiming } from '../src/timing.js';

describe('The pause before another try', () => {
  it.each([
    ['start', 1, 1],
    ['start', 2, 2],
    ['fetch', 5, 16],
    ['fetch', 6, 30],
    ['fetch', 1000, 30],
    ['digest', 1, 30],
    ['signature', 1, 30],
    ['artifact', 3, 30],
  ] as const)('after a %s failure, the %i. in a row, is %i s', (kind, failures, seconds) => {
    expect(retryPauseSeconds(kind, failures, defaultTiming)).toBe(seconds);
  });

  it.each([
    [[100], 0, false],
    [[0, 100], 0, false],
    [[70, 100], 1, false],
    [[70, 80, 100], 30, true],
    [[10, 80, 100], 1, false],
  ])('after crashes at %j s is %i s; a loop: %s', (crashes, pauseSeconds, crashLoop) => {
    expect(afterCrash(crashes, defaultTiming)).toMatchObject({ pauseSeconds, crashLoop });
  });
});
