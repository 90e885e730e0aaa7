import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { decideDirect } from './direct.js';
import { beside, onTarget } from './plans.js';
import { decideSteps, noBake, type Step } from './steps.js';

/**
 * Target is loaded and smoke-tested on every node beside stable, without traffic; one node flips first, then all together in one transaction;
 * stable stays warm. The bake comes after the flip, on the whole traffic.
 */
export function decideBlueGreen(view: RolloutView): Decision {
  if (!view.stable) return decideDirect(view);
  const scoutNodeId = view.progress?.scoutNodeId ?? view.cluster.live[0]?.id ?? null;
  const { autoPromote, bakeSeconds } = view.policy.blueGreen;
  const steps: Step[] = [
    {
      number: 1,
      targetPercent: 0,
      scoutNodeId,
      title: 'Blue-green step 1 of 3 (loaded beside stable, no requests)',
      plan: () => beside(view, 0),
      bake: { ...noBake, isManual: !autoPromote },
    },
    {
      number: 2,
      targetPercent: Math.round(100 / Math.max(1, view.cluster.live.length)),
      scoutNodeId,
      title: 'Blue-green step 2 of 3 (the first node flips)',
      plan: (node) => (node.id === scoutNodeId ? onTarget(view) : beside(view, 0)),
      bake: noBake,
    },
    {
      number: 3,
      targetPercent: 100,
      scoutNodeId,
      title: 'Blue-green step 3 of 3 (all nodes flip)',
      plan: () => onTarget(view),
      bake: { minimumSeconds: bakeSeconds, maximumSeconds: bakeSeconds, isManual: false },
    },
  ];
  return decideSteps(view, steps);
}
