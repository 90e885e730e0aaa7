import { describe, expect, it } from '@jest/globals';
import {
  decideBlueGreen,
  decideCanary,
  decideDirect,
  decideRollBack,
  decideRolling,
  resolveBudget,
  type Decision,
} from '@hotswap/domain';
import { code, noTraffic, now, plans, progress, release, view } from './fleet.js';

describe('Direct', () => {
  it('moves all nodes at once, stable staying warm', () => {
    const decision = decideDirect(view('a:v1 b:v1'));
    expect(plans(decision)).toEqual({ a: 'v2 warm v1', b: 'v2 warm v1' });
  });

  it('waits for nodes that have not confirmed, then completes', () => {
    expect(decideDirect(view('a:v2 b:v2?', { progress: progress(1) }))).toMatchObject({ kind: 'roll-back' });
    const early = progress(1, { stepStartedAt: now - 1000 });
    expect(code(decideDirect(view('a:v2 b:v2?', { progress: early })))).toBe('hold waiting-for-nodes');
    expect(code(decideDirect(view('a:v2 b:v2', { progress: early })))).toBe('complete completed');
  });

  it('takes back a target that cannot run, but waits where it cannot be fetched, or finds no memory', () => {
    expect(code(decideDirect(view('a:v2 b:v2!', { progress: progress(1) })))).toBe('roll-back target-failed');
    const held = decideDirect(view('a:v2 b:v2=', { progress: progress(1, { stepStartedAt: now }) }));
    expect(code(held)).toBe('hold waiting-for-nodes');
    expect(held.kind === 'hold' && held.because.message).toMatch(/Node b \(memory\): No room: it needs 176 MiB$/);
  });

  it('gives a node that joins in the middle the same plan', () => {
    expect(plans(decideDirect(view('a:v2 b:-', { progress: progress(1) })))).toEqual({ b: 'v2 warm v1' });
  });

  it('holds when more nodes are silent than the policy leaves out', () => {
    expect(code(decideDirect(view('a:v1 b:v1~ c:v1~')))).toBe('hold nodes-lost');
    expect(plans(decideDirect(view('a:v1 b:v1~')))).toEqual({ a: 'v2 warm v1' });
  });

  it('judges no node while the control plane itself was away', () => {
    const base = view('a:v1 b:v1~ c:v1~');
    const cluster = Object.assign(Object.create(Object.getPrototypeOf(base.cluster) as object), base.cluster, {
      listening: { beatAt: now, gaps: [{ from: now - 600_000, to: now - 3000 }] },
    }) as typeof base.cluster;
    expect(code(decideDirect({ ...base, cluster }))).toBe('hold catching-up');
  });
});

describe('A wait that ends by itself', () => {
  const untilAt = (decision: Decision) => decision.because.data['untilAt'];
  const after = (seconds: number) => new Date(now + seconds * 1000).toISOString();

  it('says until when: for nodes until the deadline, for time until there was enough', () => {
    const early = progress(1, { stepStartedAt: now - 100_000 });
    expect(untilAt(decideDirect(view('a:v2 b:v2?', { progress: early })))).toBe(after(500));
    expect(untilAt(decideBlueGreen(view('a:v2 b:v2<29', { progress: progress(3, { flipSkewMilliseconds: 0 }) })))).toBe(
      after(1),
    );
  });

  it('does not count the time in which it was suspended', () => {
    const early = progress(1, { stepStartedAt: now - 100_000 });
    const suspensions = [{ from: now - 50_000, to: now - 10_000 }];
    expect(untilAt(decideDirect(view('a:v2 b:v2?', { progress: early, suspensions })))).toBe(after(540));
  });
});

describe('Rolling', () => {
  const rolling = (maxUnavailable: string, maxSurge = '0') => ({
    environment: 'QA' as const,
    policyOf: (policy: ReturnType<typeof view>['policy']) => ({
      ...policy,
      rolling: { ...policy.rolling, maxUnavailable, maxSurge },
    }),
  });

  it('begins although the nodes have the target already, and so takes back one that cannot run', () => {
    const same = { ...rolling('1'), target: release('v1') };
    const begun = decideRolling(view('a:v1! b:v1!', same));
    expect([code(begun), plans(begun)]).toEqual(['advance batch', {}]);
    expect(begun).toMatchObject({ progress: { number: 1, of: 1, targetPercent: 100, stepStartedAt: now } });
    expect(code(decideRolling(view('a:v1! b:v1!', { ...same, progress: progress(1) })))).toBe(
      'roll-back target-failed',
    );
    expect(code(decideRolling(view('a:v1 b:v1', { ...same, progress: progress(1) })))).toBe('complete completed');
  });

  it('takes as many nodes at a time as the budget allows', () => {
    expect(plans(decideRolling(view('a:v1 b:v1 c:v1 d:v1', rolling('2'))))).toEqual({
      a: 'v2 warm v1',
      b: 'v2 warm v1',
    });
  });

  it('counts unconfirmed and silent nodes against the budget', () => {
    const moving = { ...rolling('2'), progress: progress(1, { stepStartedAt: now - 1000 }) };
    expect(plans(decideRolling(view('a:v2? b:v1 c:v1', moving)))).toEqual({ b: 'v2 warm v1' });
    expect(code(decideRolling(view('a:v2? b:v1~ c:v1', moving)))).toBe('hold waiting-for-nodes');
  });

  it('lets a node be ready for a while before it counts', () => {
    const moving = { ...rolling('1'), progress: progress(1) };
    expect(code(decideRolling(view('a:v2<2 b:v1', moving)))).toBe('hold minimum-ready');
    expect(plans(decideRolling(view('a:v2<5 b:v1', moving)))).toEqual({ b: 'v2 warm v1' });
    expect(code(decideRolling(view('a:v2 b:v2<5', moving)))).toBe('complete completed');
  });

  // The rounding of Kubernetes' deployment controller: surge up, unavailable down, both zero = one unavailable. The first five are the rows of
  // TestResolveFenceposts in its deployment_util_test.go that are no errors; what is left out there is 0 here.
  it.each([
    ['0%', '0%', 0, 1, 0],
    ['39%', '39%', 10, 3, 4],
    ['39%', '0', 10, 3, 0],
    ['0', '39%', 10, 0, 4],
    ['0', '0', 10, 1, 0],
    ['1', '0', 10, 1, 0],
    ['0', '1', 10, 0, 1],
    ['25%', '25%', 1, 0, 1],
    ['25%', '0%', 1, 1, 0],
    ['0%', '0%', 3, 1, 0],
    ['25%', '0', 2, 1, 0],
    ['25%', '0', 5, 1, 0],
    ['50%', '50%', 5, 2, 3],
    ['100%', '0', 4, 4, 0],
  ])('unavailable %s and surge %s of %i nodes = %i and %i', (maxUnavailable, maxSurge, nodes, unavailable, surge) => {
    expect(resolveBudget({ maxUnavailable, maxSurge }, nodes)).toEqual({ unavailable, surge });
  });
});

describe('BlueGreen', () => {
  it('loads beside stable without requests, flips one, then all', () => {
    expect(plans(decideBlueGreen(view('a:v1 b:v1')))).toEqual({ a: 'v1 + v2 at 0', b: 'v1 + v2 at 0' });
    const loaded = view('a:v1+v2@0 b:v1+v2@0', { progress: progress(1) });
    expect(plans(decideBlueGreen(loaded))).toEqual({ a: 'v2 warm v1' });
    const first = view('a:v2 b:v1+v2@0', { progress: progress(2) });
    expect(plans(decideBlueGreen(first))).toEqual({ b: 'v2 warm v1' });
  });

  it('bakes after the flip, then completes', () => {
    expect(code(decideBlueGreen(view('a:v2 b:v2<29', { progress: progress(3, { flipSkewMilliseconds: 0 }) })))).toBe(
      'hold baking',
    );
    expect(code(decideBlueGreen(view('a:v2 b:v2<30', { progress: progress(3, { flipSkewMilliseconds: 0 }) })))).toBe(
      'complete completed',
    );
  });
});

describe('Canary', () => {
  const enough = {
    target: { requests: 100, failures: 0 },
    stable: { requests: 900, failures: 0 },
    before: { requests: 0, failures: 0 },
  };

  it('starts with a scout: one node, a small share', () => {
    expect(plans(decideCanary(view('a:v1 b:v1')))).toEqual({ a: 'v1 + v2 at 5' });
  });

  it('then gives all nodes a growing share, and stable stays warm at the end', () => {
    expect(
      plans(decideCanary(view('a:v1+v2@5 b:v1', { progress: progress(0, { targetPercent: 5 }), traffic: enough }))),
    ).toEqual({
      a: 'v1 + v2 at 10',
      b: 'v1 + v2 at 10',
    });
    expect(
      plans(
        decideCanary(view('a:v1+v2@50 b:v1+v2@50', { progress: progress(3, { targetPercent: 50 }), traffic: enough })),
      ),
    ).toEqual({
      a: 'v2 warm v1',
      b: 'v2 warm v1',
    });
    expect(
      code(decideCanary(view('a:v2 b:v2', { progress: progress(4, { targetPercent: 100 }), traffic: enough }))),
    ).toBe('complete completed');
  });

  it('bakes at least the minimum, and until the maximum while too few requests came', () => {
    expect(code(decideCanary(view('a:v1+v2@10<60 b:v1+v2@10', { progress: progress(1), traffic: enough })))).toBe(
      'hold baking',
    );
    expect(code(decideCanary(view('a:v1+v2@10<200 b:v1+v2@10', { progress: progress(1), traffic: noTraffic })))).toBe(
      'hold baking',
    );
    expect(decideCanary(view('a:v1+v2@10<901 b:v1+v2@10', { progress: progress(1), traffic: noTraffic })).kind).toBe(
      'advance',
    );
  });

  it('takes back a target that fails more than stable at the same time, with the numbers', () => {
    const traffic = { ...enough, target: { requests: 100, failures: 6 } };
    const decision = decideCanary(view('a:v1+v2@10 b:v1+v2@10', { progress: progress(1), traffic }));
    expect(code(decision)).toBe('roll-back failed-share-above-stable');
    expect(decision.because.message).toContain('6 of 100 requests (6 %) failed on 2.0.0');
  });

  it('does not take back what fails no more than stable, nor on too few failures', () => {
    const incident = { ...enough, target: { requests: 100, failures: 30 }, stable: { requests: 900, failures: 280 } };
    expect(decideCanary(view('a:v1+v2@10 b:v1+v2@10', { progress: progress(1), traffic: incident })).kind).toBe(
      'advance',
    );
    const few = { ...enough, target: { requests: 100, failures: 4 } };
    expect(decideCanary(view('a:v1+v2@10 b:v1+v2@10', { progress: progress(1), traffic: few })).kind).toBe('advance');
  });

  it('is one step to all nodes where there is no stable release', () => {
    expect(plans(decideCanary(view('a:- b:-', { stable: null })))).toEqual({ a: 'v2', b: 'v2' });
  });
});

describe('The way back', () => {
  it('moves every touched node at once, lost ones too, and leaves others alone', () => {
    const decision = decideRollBack(view('a:v2 b:v1+v2@10 c:v2~ d:v1 e:-', { progress: progress(2) }));
    expect(plans(decision)).toEqual({ a: 'v1', b: 'v1', c: 'v1' });
  });

  it('is done when every live node confirms', () => {
    expect(code(decideRollBack(view('a:v1 b:v1?', { progress: progress(2) })))).toBe('hold rolling-back');
    expect(code(decideRollBack(view('a:v1 b:v1', { progress: progress(2) })))).toBe('complete rolled-back');
  });

  it('says so when stable is broken too, and asks a person', () => {
    expect(code(decideRollBack(view('a:v1 b:v1!', { progress: progress(2) })))).toBe('hold stable-broken');
  });
});

it('names releases as the notation does', () => {
  expect(release('v2').version).toBe('2.0.0');
});
