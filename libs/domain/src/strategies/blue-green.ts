import { isoInstant } from '../instant.js';
import type { Progress } from '../deployment.js';
import { inSeconds, reason, type Reason } from '../reason.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { decideDirect } from './direct.js';
import { besideOrWhole, onTarget } from './plans.js';
import { chooseScout } from './scout.js';
import { decideSteps, noBake, type Step } from './steps.js';
import { startSeconds } from './way-back.js';

/**
 * Target is loaded and smoke-tested on every node beside stable, without traffic; one node flips first, then all together in one transaction;
 * stable stays warm. The bake comes after the flip, on the whole traffic. Where the policy says so, a person says when to flip.
 */
export function decideBlueGreen(view: RolloutView): Decision {
  if (!view.stable) return decideDirect(view);
  const { cluster, policy } = view;
  const scoutNodeId = chooseScout(view);
  const { autoPromote, bakeSeconds } = policy.blueGreen;
  const steps: Step[] = [
    {
      number: 1,
      targetPercent: 0,
      scoutNodeId,
      title: 'Blue-green step 1 of 3 (loaded beside stable, no requests)',
      plan: (node) => besideOrWhole(view, node, 0),
      bake: { ...noBake, isManual: !autoPromote },
      evidence: () => smokeEvidence(view),
    },
    {
      number: 2,
      targetPercent: Math.round(100 / Math.max(1, cluster.live.length)),
      scoutNodeId,
      title: 'Blue-green step 2 of 3 (the first node flips)',
      plan: (node) => (node.id === scoutNodeId ? onTarget(view) : besideOrWhole(view, node, 0)),
      bake: noBake,
    },
    {
      number: 3,
      targetPercent: 100,
      scoutNodeId,
      title: 'Blue-green step 3 of 3 (all nodes flip)',
      plan: () => onTarget(view),
      bake: { minimumSeconds: bakeSeconds, maximumSeconds: bakeSeconds, isManual: false },
      keep: (current) => measureFlip(view, current),
    },
  ];
  return decideSteps(view, steps);
}

/** What the nodes say of the target that they have loaded: one that is ready has answered its smoke requests as expected. */
function smokeEvidence({ cluster, module, target }: RolloutView): Pick<Reason, 'message' | 'data'> {
  const tested = cluster.live.flatMap((node) => {
    const ready = node.instances(module, target).find(({ state }) => state === 'Ready' || state === 'Active');
    return ready
      ? [{ nodeId: node.id, startSeconds: startSeconds(ready), smokeSeconds: ready.phaseSeconds?.['smoke'] ?? null }]
      : [];
  });
  const seconds = tested.flatMap((each) => each.startSeconds ?? []);
  const slowest = seconds.length > 0 ? `, started and tested in ${inSeconds(Math.max(...seconds) * 1000)} at most` : '';
  return {
    message: `${target.version} is healthy and smoke-tested on ${tested.length} of ${cluster.live.length} nodes${slowest}`,
    data: { smoke: tested },
  };
}

/** How far the flips lay apart: from the first to the last node whose report of this step's flip was kept. Measured once. */
function measureFlip(
  { cluster, module, target }: RolloutView,
  progress: Progress,
): { because: Reason; progress: Progress } | null {
  if (progress.flipSkewMilliseconds !== undefined) return null;
  const flips = cluster.live
    .filter(({ id }) => id !== progress.scoutNodeId)
    .flatMap((node) => node.observation(module)?.since ?? [])
    .filter((since) => since >= progress.stepStartedAt);
  const [first, last] = [Math.min(...flips), Math.max(...flips)];
  const skew = flips.length === 0 ? null : last - first;
  const told = skew === null ? 'no node had to' : `${flips.length} nodes did within ${skew} ms of each other`;
  return {
    because: reason('flipped', `Every node flipped to ${target.version}: ${told}`, {
      flipSkewMilliseconds: skew,
      ...(skew !== null && { firstAt: isoInstant(first), lastAt: isoInstant(last) }),
    }),
    progress: { ...progress, flipSkewMilliseconds: skew },
  };
}
