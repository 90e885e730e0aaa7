import { describe, expect, it } from '@jest/globals';
import {
  awaitWayBack,
  decideBlueGreen,
  decideCanary,
  decideDirect,
  decideRollBack,
  decideRolling,
  withWayBack,
  reason,
  type BootDeath,
  type InstanceObservation,
  type Policy,
  type RolloutView,
} from '@hotswap/domain';
import { code, now, plans, progress, release, view, withFacts } from './fleet.js';

const strategies = { Direct: decideDirect, Rolling: decideRolling, BlueGreen: decideBlueGreen, Canary: decideCanary };
const each = Object.entries(strategies);
const enough = {
  target: { requests: 100, failures: 0 },
  stable: { requests: 900, failures: 0 },
  before: { requests: 0, failures: 0 },
};

/** The instances of this release on that node, changed. */
function instancesOn(
  base: RolloutView,
  nodeId: string,
  name: string,
  change: Partial<InstanceObservation>,
): RolloutView {
  return withFacts(base, nodeId, ({ observations }) => ({
    observations: new Map(
      [...observations].map(([module, seen]) => {
        const others = seen.instances.filter((instance) => instance.release !== release(name).digest);
        const known = seen.instances.find((instance) => instance.release === release(name).digest) ?? {
          release: release(name).digest,
          version: release(name).version,
          state: 'Ready',
          error: null,
          failureKind: null,
          crashes: 0,
        };
        return [module, { ...seen, instances: [...others, { ...known, ...change }] }];
      }),
    ),
  }));
}
const broken = { state: 'Failed', error: 'no luck', failureKind: 'start' } as const;

describe('A broken stable does not block its fix', () => {
  it('under a canary: nodes on which it can’t run take the fix whole, the others by shares', () => {
    expect(plans(decideCanary(view('a:v1! b:v1 c:v1')))).toEqual({ a: 'v2 warm v1', b: 'v1 + v2 at 5' });
    const shared = view('a:v2 b:v1+v2@5 c:v1', {
      progress: progress(0, { targetPercent: 5, scoutNodeId: 'b' }),
      traffic: enough,
    });
    expect(plans(decideCanary(shared))).toEqual({ b: 'v1 + v2 at 10', c: 'v1 + v2 at 10' });
  });

  it('under blue-green: they flip at once, the others when it is loaded everywhere', () => {
    expect(plans(decideBlueGreen(view('a:v1! b:v1 c:v1')))).toEqual({
      a: 'v2 warm v1',
      b: 'v1 + v2 at 0',
      c: 'v1 + v2 at 0',
    });
  });

  it('when stable breaks on a node in the middle', () => {
    const middle = view('a:v1+v2@10 b:v1+v2@10', { progress: progress(1), traffic: enough });
    const decision = decideCanary(instancesOn(middle, 'b', 'v1', broken));
    expect(decision.because.code).toBe('nothing-to-lose');
    expect(plans(decision)).toEqual({ b: 'v2 warm v1' });
  });

  it('nor does a node on which stable has no memory, or whose artifact it can’t fetch, count as broken', () => {
    const short = instancesOn(view('a:v1 b:v1'), 'a', 'v1', { ...broken, failureKind: 'memory' });
    expect(plans(decideCanary(short))).toEqual({ a: 'v1 + v2 at 5' });
  });
});

describe('A rollback onto a broken target', () => {
  const failed = view('a:v2 b:v2', { progress: progress(1) });

  it('does not happen where stable can’t run: that is said, with the nodes, and a person asked', () => {
    const bad = instancesOn(instancesOn(failed, 'a', 'v1', broken), 'b', 'v1', broken);
    const held = decideRollBack(bad);
    expect(code(held)).toBe('hold stable-broken');
    expect(held.because.data).toMatchObject({ nodes: ['a', 'b'] });
  });

  it('happens where it can run', () => {
    expect(plans(decideRollBack(instancesOn(failed, 'a', 'v1', broken)))).toEqual({ b: 'v1' });
  });

  it('happens once it can run again', () => {
    const mended = instancesOn(failed, 'a', 'v1', { state: 'Warm' });
    expect(plans(decideRollBack(mended))).toEqual({ a: 'v1', b: 'v1' });
  });

  it('ends after a day in which nobody decided', () => {
    const bad = instancesOn(view('a:v2', { progress: progress(1) }), 'a', 'v1', broken);
    const day = { code: 'stable-broken', since: now - 24 * 3_600_000 - 1 };
    expect(code(decideRollBack({ ...bad, waiting: day }))).toBe('complete rollback-given-up');
  });
});

describe('The way back', () => {
  it('has to be ready before the first node is touched', () => {
    const joining = view('a:v1 b:v1?');
    const held = awaitWayBack(joining);
    expect(held && code(held)).toBe('hold way-back-not-ready');
    expect(held?.because.data).toMatchObject({ waiting: ['b'], wayBack: { version: '1.0.0', warm: 1, cold: 1 } });
    expect(awaitWayBack(view('a:v1 b:v1'))).toBeNull();
  });

  it('is not waited for where stable can’t run, nor where it was not asked for', () => {
    expect(awaitWayBack(view('a:v1 b:v1! c:-'))).toBeNull();
    expect(awaitWayBack(view('a:- b:-', { stable: null }))).toBeNull();
    expect(awaitWayBack(view('a:v2 b:v1?', { progress: progress(1) }))).toBeNull();
  });

  it('that is not ready by the deadline ends the rollout before it has begun', () => {
    const waiting = { code: 'way-back-not-ready', since: now - 601_000 };
    const ended = awaitWayBack(view('a:v1 b:v1?', { waiting }));
    expect(ended && code(ended)).toBe('roll-back way-back-deadline');
  });

  it('is told with the first step, as the nodes measured it', () => {
    const measured = instancesOn(view('a:v1 b:v1 c:v1!'), 'a', 'v1', { phaseSeconds: { load: 0.2, start: 0.1 } });
    const told = withWayBack(measured, reason('step', 'It starts'));
    expect(told.message).toBe(
      "It starts; way back: 1.0.0 runs on 2 of 3 nodes, where it was started in 0.3 s at most, it stays started for 900 s, or as long as the rollout lasts, it can't run on 1",
    );
    expect(told.data['wayBack']).toMatchObject({
      warm: 2,
      cold: 0,
      broken: ['c'],
      startSecondsMax: expect.closeTo(0.3),
    });
  });
});

describe('Nodes that come and go', () => {
  it.each(each)('%s never ends with no node there', (_name, decide) => {
    const empty = view('a:v2~', {
      progress: progress(1, { targetPercent: 100 }),
      policyOf: (policy) => ({ ...policy, lostNodesMax: 9 }),
    });
    const held = decide(empty);
    expect(code(held)).toBe('hold no-live-nodes');
    const waiting = { code: 'no-live-nodes', since: now - 601_000 };
    expect(code(decide({ ...empty, waiting }))).toBe('roll-back no-live-nodes');
  });

  it.each(each)(
    '%s holds when more are lost than may be, with the numbers, and takes a bad target back all the same',
    (_name, decide) => {
      const lost = view('a:v2 b:v2~ c:v2~', { progress: progress(1, { targetPercent: 100 }) });
      const held = decide(lost);
      expect(code(held)).toBe('hold nodes-lost');
      expect(held.because.data).toMatchObject({ lost: ['b', 'c'], lostNodesMax: 1, untilAt: expect.any(String) });
      const both = view('a:v2! b:v2~ c:v2~', { progress: progress(1, { targetPercent: 100 }) });
      expect(code(decide(both))).toBe('roll-back target-failed');
      const waiting = { code: 'nodes-lost', since: now - 24 * 3_600_000 - 1 };
      expect(code(decide({ ...lost, waiting }))).toBe('roll-back nobody-decided');
    },
  );

  it('a node that joins long after the step began has the whole deadline', () => {
    const late = withFacts(view('a:v2 b:v2?', { progress: progress(1) }), 'b', () => ({ joinedAt: now - 5000 }));
    expect(code(decideDirect(late))).toBe('hold waiting-for-nodes');
    const asked = withFacts(view('a:v2 b:v2?', { progress: progress(1) }), 'b', ({ assignments }) => ({
      assignments: new Map([...assignments].map(([module, plan]) => [module, { ...plan, assignedAt: now - 5000 }])),
    }));
    expect(code(decideDirect(asked))).toBe('hold waiting-for-nodes');
  });

  it('a node that stops confirming long after it did has the whole deadline too', () => {
    const blinking = withFacts(
      view('a:v1+v2@10 b:v1+v2@10?', { progress: progress(1), traffic: enough }),
      'b',
      ({ observations }) => ({
        observations: new Map([...observations].map(([module, seen]) => [module, { ...seen, since: now - 300 }])),
      }),
    );
    expect(code(decideCanary(blinking))).toBe('hold waiting-for-nodes');
  });

  it('a node that joins in the middle of a bake does not begin it anew', () => {
    const joined = withFacts(view('a:v1+v2@10 b:v1+v2@10<2', { progress: progress(1), traffic: enough }), 'b', () => ({
      joinedAt: now - 3000,
    }));
    expect(decideCanary(joined).kind).toBe('advance');
  });

  it('one that was away and comes back stale gets the step’s plan', () => {
    const back = view('a:v1+v2@30 b:v1+v2@10', { progress: progress(2, { targetPercent: 30 }), traffic: enough });
    expect(plans(decideCanary(back))).toEqual({ b: 'v1 + v2 at 30' });
  });
});

describe('An artifact store that is away', () => {
  const fetching = (seconds: number) =>
    instancesOn(view('a:v2 b:v2', { progress: progress(1, { stepStartedAt: now - seconds * 1000 }) }), 'b', 'v2', {
      state: 'Failed',
      failureKind: 'fetch',
      error: 'connect ECONNREFUSED',
    });
  const unable = (seconds: number) =>
    withFacts(fetching(seconds), 'b', ({ observations }) => ({
      observations: new Map(
        [...observations].map(([module, seen]) => [
          module,
          { ...seen, active: release('v1').digest, since: now - 3_600_000 },
        ]),
      ),
    }));

  it('is waited for, and told with the node’s words; the deadline takes the target back', () => {
    const held = decideDirect(unable(100));
    expect(code(held)).toBe('hold waiting-for-nodes');
    expect(held.because.message).toContain('Node b (fetch): connect ECONNREFUSED');
    expect(held.because.data['unable']).toEqual([{ nodeId: 'b', failureKind: 'fetch', error: 'connect ECONNREFUSED' }]);
    const late = decideDirect(unable(601));
    expect(code(late)).toBe('roll-back progress-deadline');
    expect(late.because.message).toContain('connect ECONNREFUSED');
  });
});

describe('A policy that changes in the middle', () => {
  const steps = (...percents: number[]) => ({
    policyOf: (policy: Policy): Policy => ({
      ...policy,
      canary: {
        ...policy.canary,
        steps: percents.map((percent) => ({ percent, minimumSeconds: 1, maximumSeconds: 2 })),
      },
    }),
  });

  it('never takes a share back: the next step is the first that gives the target at least as much', () => {
    const changed = view('a:v1+v2@30 b:v1+v2@30', {
      ...steps(20, 60, 100),
      progress: progress(2, { targetPercent: 30 }),
      traffic: enough,
    });
    const decision = decideCanary(changed);
    expect(decision.because.code).toBe('steps-changed');
    expect(decision.because.message).toContain('step 2 (30 %) is none of them any more. Canary step 2 of 3 (60 %');
    expect(plans(decision)).toEqual({ a: 'v1 + v2 at 60', b: 'v1 + v2 at 60' });
  });

  it('counts from the next decision on', () => {
    const baking = view('a:v1+v2@10<60 b:v1+v2@10<60', { progress: progress(1), traffic: enough });
    expect(code(decideCanary(baking))).toBe('hold baking');
    expect(decideCanary({ ...baking, policy: steps(10, 100).policyOf(baking.policy) }).kind).toBe('advance');
  });
});

describe('A canary step that pauses', () => {
  const pausing = {
    policyOf: (policy: Policy): Policy => ({
      ...policy,
      canary: {
        ...policy.canary,
        steps: [
          { percent: 10, minimumSeconds: 1, maximumSeconds: 2, pause: true },
          { percent: 100, minimumSeconds: 0, maximumSeconds: 0 },
        ],
      },
    }),
  };
  const paused = view('a:v1+v2@10 b:v1+v2@10', { ...pausing, progress: progress(1), traffic: enough });

  it('goes on only when a person promotes it, or back after a day', () => {
    const held = decideCanary(paused);
    expect(code(held)).toBe('hold awaiting-promotion');
    expect(held.because.data['untilAt']).toBe(new Date(now + 24 * 3_600_000).toISOString());
    expect(decideCanary({ ...paused, promotion: 'step' }).kind).toBe('advance');
    const waiting = { code: 'awaiting-promotion', since: now - 24 * 3_600_000 - 1 };
    expect(code(decideCanary({ ...paused, waiting }))).toBe('roll-back nobody-decided');
  });

  it('does not count the time in which it was suspended', () => {
    const waiting = { code: 'awaiting-promotion', since: now - 24 * 3_600_000 - 1 };
    const suspensions = [{ from: now - 1_800_000, to: now }];
    expect(code(decideCanary({ ...paused, waiting, suspensions }))).toBe('hold awaiting-promotion');
  });
});

describe('Processes of nodes that end within 30 s of activating the target', () => {
  const death = (bootId: string, seconds: number, change: Partial<BootDeath> = {}): BootDeath => ({
    bootId,
    module: 'payments',
    release: release('v2').digest,
    activatedAt: now - 100_000,
    lastHeardAt: now - 100_000 + seconds * 1000,
    noticedAt: now - 60_000,
    ...change,
  });
  const dying = (...deaths: BootDeath[]) =>
    withFacts(
      view('a:v2 b:v2', { progress: progress(1, { targetPercent: 100 }), startedAt: now - 200_000 }),
      'a',
      () => ({ deaths }),
    );

  it.each(each)('%s takes the target back for two of them, not for one', (_name, decide) => {
    const found = decide(dying(death('1', 2), death('2', 3)));
    expect(code(found)).toBe('roll-back target-kills-nodes');
    expect(found.because.message).toContain('2 processes of nodes ended within 30 s of activating 2.0.0');
    expect(decide(dying(death('1', 2))).because.code).not.toBe('target-kills-nodes');
  });

  it('counts nodes that did not come back', () => {
    const lost = view('a:v2 b:v2~<65 c:v2~<65', {
      progress: progress(1, { targetPercent: 100 }),
      startedAt: now - 200_000,
    });
    expect(code(decideDirect(lost))).toBe('roll-back target-kills-nodes');
    const older = view('a:v2 b:v2~<95 c:v2~<95', {
      progress: progress(1, { targetPercent: 100 }),
      startedAt: now - 200_000,
    });
    expect(code(decideDirect(older))).toBe('hold nodes-lost');
  });

  it.each([
    ['lived longer', [death('1', 2), death('2', 31)]],
    ['ran another release', [death('1', 2), death('2', 2, { release: 'sha256:v1' })]],
    [
      'are of an earlier rollout',
      [death('1', 2), death('2', 2, { activatedAt: now - 300_000, lastHeardAt: now - 299_000 })],
    ],
  ])('does not count those that %s', (_what, deaths) => {
    expect(decideDirect(dying(...deaths)).because.code).not.toBe('target-kills-nodes');
  });

  it('does not count those that were missed while nobody listened', () => {
    const base = dying(death('1', 2), death('2', 3));
    const { environment, nodes, releases } = base.cluster;
    const Cluster = base.cluster.constructor as new (...parts: unknown[]) => typeof base.cluster;
    const gaps = [{ from: now - 90_000, to: now - 65_000 }];
    const cluster = new Cluster(environment, nodes, releases, now, { beatAt: now, gaps });
    expect(decideDirect({ ...base, cluster }).because.code).not.toBe('target-kills-nodes');
  });
});
