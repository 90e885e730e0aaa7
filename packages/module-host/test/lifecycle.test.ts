import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  advance,
  canAdvance,
  canServe,
  isOver,
  LifecycleError,
  type Lifecycle,
  type LifecycleEvent,
} from '../src/lifecycle.js';

const names = [
  'verified',
  'spawned',
  'loaded',
  'started',
  'passed',
  'activated',
  'deactivated',
  'drain',
  'retired',
] as const;
const events: LifecycleEvent[] = [
  ...names.map((event) => ({ event })),
  { event: 'failed', kind: 'start', error: 'no pool' },
];
const wayUp = ['verified', 'spawned', 'loaded', 'started', 'passed'] as const;

describe("An instance's life", () => {
  it('goes from fetching to ready, is activated and deactivated, and ends retired', () => {
    let lifecycle: Lifecycle = { state: 'fetching' };
    const states = [...wayUp, 'activated', 'deactivated', 'activated', 'deactivated', 'drain', 'retired'].map(
      (event) => (lifecycle = advance(lifecycle, { event } as LifecycleEvent)).state,
    );
    expect(states.join(' ')).toBe(
      'verified loading loaded started ready active deactivated active deactivated draining retired',
    );
  });

  it('whatever happens: serves only after it was ready, is never active without having been deactivated before it drains, and ends once', () => {
    const reached = new Set<string>();
    // Mostly what is possible, so that runs come far; the rest is refused and changes nothing.
    const choice = fc.record({ pick: fc.nat(), any: fc.integer({ min: 0, max: 4 }) });
    fc.assert(
      fc.property(fc.array(choice, { minLength: 20, maxLength: 40 }), (choices) => {
        let lifecycle: Lifecycle = { state: 'fetching' };
        let wasReady = false;
        for (const { pick, any } of choices) {
          const possible = events.filter(
            ({ event }) => canAdvance(lifecycle, event) && (event !== 'failed' || any === 0),
          );
          const from = any === 0 || possible.length === 0 ? events : possible;
          const event = from[pick % from.length]!;
          const before = lifecycle;
          if (!canAdvance(before, event.event)) {
            expect(() => advance(before, event)).toThrow(LifecycleError);
            continue;
          }
          lifecycle = advance(before, event);
          expect(isOver(before)).toBe(false);
          if (event.event === 'failed') expect(lifecycle).toMatchObject({ state: 'failed', from: before.state });
          if (lifecycle.state === 'ready') wasReady = true;
          if (canServe(lifecycle)) expect(wasReady).toBe(true);
          if (lifecycle.state === 'draining') expect(before.state).not.toBe('active');
          reached.add(lifecycle.state);
        }
      }),
      { numRuns: 500 },
    );
    expect([...reached].sort()).toEqual([
      'active',
      'deactivated',
      'draining',
      'failed',
      'loaded',
      'loading',
      'ready',
      'retired',
      'started',
      'verified',
    ]);
  });
});
