import { describe, expect, it } from '@jest/globals';
import { decideBlueGreen, type Policy, type RolloutView } from '@hotswap/domain';
import { code, now, plans, progress, release, view, withFacts } from './fleet.js';

const manually = {
  environment: 'Staging' as const,
  policyOf: (policy: Policy): Policy => ({ ...policy, blueGreen: { ...policy.blueGreen, autoPromote: false } }),
};

/** Nodes that say how long they took to start and test target. */
function tested(base: RolloutView): RolloutView {
  return base.cluster.nodes.reduce(
    (seen, { id }, index) =>
      withFacts(seen, id, ({ observations }) => ({
        observations: new Map(
          [...observations].map(([module, observation]) => [
            module,
            {
              ...observation,
              instances: observation.instances.map((instance) =>
                instance.release === release('v2').digest
                  ? { ...instance, phaseSeconds: { load: 0.2, start: 0.1, health: 0, smoke: 0.1 + index } }
                  : instance,
              ),
            },
          ]),
        ),
      })),
    base,
  );
}

describe('BlueGreen', () => {
  it('tells what the smoke tests showed when the first node flips', () => {
    const loaded = tested(view('a:v1+v2@0 b:v1+v2@0', { environment: 'Staging', progress: progress(1) }));
    const { because } = decideBlueGreen(loaded);
    expect(because.message).toContain('2.0.0 is healthy and smoke-tested on 2 of 2 nodes, started and tested in 1.4 s');
    expect(because.data['smoke']).toEqual([
      { nodeId: 'a', startSeconds: expect.closeTo(0.4), smokeSeconds: 0.1 },
      { nodeId: 'b', startSeconds: expect.closeTo(1.4), smokeSeconds: 1.1 },
    ]);
  });

  it('flips when a person says so, with the evidence before them', () => {
    const loaded = view('a:v1+v2@0 b:v1+v2@0', { ...manually, progress: progress(1) });
    const held = decideBlueGreen(loaded);
    expect(code(held)).toBe('hold awaiting-promotion');
    expect(held.because.message).toContain('smoke-tested on 2 of 2 nodes');
    expect(plans(decideBlueGreen({ ...loaded, promotion: 'step' }))).toEqual({ a: 'v2 warm v1' });
  });

  it('measures how far the flips lay apart, once, without the node that went first', () => {
    const flipped = view('a:v2<400 b:v2<20 c:v2<19', {
      environment: 'Staging',
      progress: progress(3, { stepStartedAt: now - 21_000 }),
    });
    const measured = decideBlueGreen(flipped);
    expect(measured).toMatchObject({
      kind: 'advance',
      assign: [],
      because: { code: 'flipped' },
      progress: { number: 3, flipSkewMilliseconds: 1000 },
    });
    const kept = progress(3, { stepStartedAt: now - 21_000, flipSkewMilliseconds: 1000 });
    expect(code(decideBlueGreen({ ...flipped, progress: kept }))).toBe('hold baking');
  });

  it('chooses another first node when that one has left', () => {
    const left = view('b:v1+v2@0 c:v1+v2@0', { environment: 'Staging', progress: progress(2, { scoutNodeId: 'a' }) });
    expect(decideBlueGreen(left)).toMatchObject({ kind: 'advance', progress: { number: 2, scoutNodeId: 'b' } });
    expect(plans(decideBlueGreen(left))).toEqual({ b: 'v2 warm v1' });
  });
});
