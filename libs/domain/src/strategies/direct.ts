import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { onTarget } from './plans.js';
import { decideSteps, noBake, type Step } from './steps.js';

/** All nodes at once. Also the first deployment under every strategy: with nothing to fall back to, there is nothing to compare with. */
export function decideDirect(view: RolloutView): Decision {
  return decideSteps(view, [allNodes(view)]);
}

function allNodes(view: RolloutView): Step {
  return {
    number: 1,
    targetPercent: 100,
    scoutNodeId: null,
    title: 'All nodes at once',
    plan: () => onTarget(view),
    bake: noBake,
  };
}
