import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  decideBlueGreen,
  decideCanary,
  decideDirect,
  decideRollBack,
  decideRolling,
  planRollBack,
  type Policy,
} from '@hotswap/domain';
import { RolloutWalk, shareOf, type Happening } from './rollout-walk.js';

const strategies = { Direct: decideDirect, Rolling: decideRolling, BlueGreen: decideBlueGreen, Canary: decideCanary };
type Name = keyof typeof strategies;

const node = fc.nat(7);
const percents = fc.constantFrom([100], [10, 100], [5, 30, 60, 100], [20, 50, 100]);
const budget = fc.constantFrom('1', '2', '25%', '50%', '100%', '0');
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Happening>({ kind: 'make-all' }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('make' as const), node }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.constantFrom(1, 10, 60, 130, 700, 90_000) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constantFrom('lose' as const, 'return' as const, 'leave' as const), node }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('break-stable' as const, 'break-target' as const, 'mend' as const),
      node,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('join' as const), zone: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('promote' as const), full: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant<Happening>({ kind: 'fail-requests' }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('change-policy' as const), percents, maxUnavailable: budget }),
  },
);

const shape = fc.record({
  zones: fc.array(fc.constantFrom(null, 'x', 'y', 'z'), { minLength: 1, maxLength: 6 }),
  percents,
  maxUnavailable: budget,
  hasScout: fc.boolean(),
  isManual: fc.boolean(),
  lostNodesMax: fc.constantFrom(0, 0, 1, 2),
  history: fc.array(happening, { maxLength: 40 }),
});
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never;

function walkOf(
  name: Name,
  { zones, percents: shares, maxUnavailable, hasScout, isManual, lostNodesMax }: Shape,
): RolloutWalk {
  return new RolloutWalk(strategies[name], zones, (policy: Policy) => ({
    ...policy,
    canary: {
      scout: hasScout ? { percent: 5, seconds: 10 } : null,
      steps: shares.map((percent) => ({
        percent,
        minimumSeconds: 10,
        maximumSeconds: 60,
        pause: isManual && percent < 100,
      })),
      analysis: null,
    },
    rolling: { ...policy.rolling, maxUnavailable },
    blueGreen: { autoPromote: !isManual, bakeSeconds: 10 },
    lostNodesMax,
  }));
}

/** Decisions follow each other at once until nothing is left to do; looking again then changes nothing. */
function settle(walk: RolloutWalk): void {
  for (let look = 0; look < 12 && !walk.end; look++) {
    const decision = walk.look();
    if (decision.kind !== 'hold') continue;
    expect(walk.look()).toMatchObject({ kind: 'hold', because: { code: decision.because.code } });
    return;
  }
  if (!walk.end) throw new Error('It never comes to rest');
}

/** With nothing going wrong any more it comes to an end, be it by a person's word. */
function finish(walk: RolloutWalk): void {
  walk.calm();
  for (let pass = 0; pass < 300 && !walk.end; pass++) {
    walk.happen({ kind: 'make-all' });
    walk.happen({ kind: 'wait', seconds: 30 });
    if (pass % 10 === 9) walk.happen({ kind: 'promote', full: false });
    settle(walk);
  }
  expect(walk.end).not.toBeNull();
}

function takeBack(walk: RolloutWalk): void {
  walk.assign(planRollBack(walk.view()));
  for (const { plan, broken } of walk.nodes) {
    if (plan && broken.size === 0) expect(shareOf(plan)).toBe(-1);
  }
  walk.calm();
  for (let pass = 0; pass < 4; pass++) {
    walk.assign(planRollBack(walk.view()));
    walk.happen({ kind: 'make-all' });
  }
  const decision = decideRollBack(walk.view());
  expect(decision).toMatchObject({ kind: 'complete', because: { code: 'rolled-back' } });
  for (const { plan } of walk.nodes) if (plan) expect(shareOf(plan)).toBe(-1);
}

/** Branches that must really have been taken, and how often at least; so that a property that holds says something. */
const interesting: Record<Name, [string, number][]> = {
  Direct: [
    ['hold nodes-lost', 2],
    ['advance nodes-joined', 1],
    ['roll-back progress-deadline', 2],
    ['roll-back target-failed', 1],
  ],
  Rolling: [
    ['advance batch', 100],
    ['hold minimum-ready', 10],
    ['hold no-budget', 1],
    ['advance nodes-joined', 1],
    ['roll-back failed-share-above-stable', 1],
  ],
  BlueGreen: [
    ['advance flipped', 20],
    ['hold awaiting-promotion', 20],
    ['advance nothing-to-lose', 1],
    ['roll-back nobody-decided', 1],
  ],
  Canary: [
    ['advance steps-changed', 1],
    ['hold awaiting-promotion', 20],
    ['advance nothing-to-lose', 1],
    ['hold baking', 40],
  ],
};

describe('Whatever nodes, people and policies do', () => {
  it.each(Object.keys(strategies) as Name[])(
    '%s keeps the capacity floor, never flips to what is not confirmed, moves only forward, says why, and comes to an end that can be taken back',
    (name) => {
      const codes = new Map<string, number>();
      const ends = { complete: 0, 'roll-back': 0 };
      fc.assert(
        fc.property(shape, (drawn) => {
          const walk = walkOf(name, drawn);
          settle(walk);
          for (const each of drawn.history) {
            if (walk.end) break;
            walk.happen(each);
            settle(walk);
          }
          if (!walk.end) finish(walk);
          if (walk.end) ends[walk.end]++;
          if (walk.end === 'roll-back') takeBack(walk);
          for (const [code, count] of walk.codes) codes.set(code, (codes.get(code) ?? 0) + count);
        }),
        { numRuns: 400 },
      );
      expect(ends.complete).toBeGreaterThan(15);
      expect(ends['roll-back']).toBeGreaterThan(15);
      for (const [code, times] of interesting[name]) {
        if ((codes.get(code) ?? 0) < times)
          throw new Error(`${code} only ${codes.get(code) ?? 0} times of ${JSON.stringify([...codes])}`);
      }
    },
    60_000,
  );
});
