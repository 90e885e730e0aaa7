import { routesAlike } from '../kernel-node.js';
import { reason } from '../reason.js';
import type { Decision, PlannedNode } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { onStable } from './plans.js';
import { elapsed, hold } from './readiness.js';

/**
 * The way back, the same for every strategy: all touched nodes at once, no waiting. Absent nodes keep the assignment. It is done when every live
 * node confirms. A stable release that can't run is no way back: that is said, and a person asked.
 */
export function decideRollBack(view: RolloutView): Decision {
  const { cluster, module, stable, progress } = view;
  const assign = planRollBack(view);
  const since = progress?.stepStartedAt ?? view.startedAt;
  if (assign.length > 0 && progress) {
    return {
      kind: 'advance',
      because: reason('rolling-back', `${assign.length} nodes go back to ${name(view)}`),
      assign,
      progress,
    };
  }
  const waiting = cluster.live.filter((node) => node.assignment(module) && !node.confirms(module));
  const broken = stable ? waiting.filter((node) => node.failureOf(module, stable)) : [];
  if (broken.length > 0) {
    return hold(
      view,
      reason('stable-broken', `${name(view)} can't run either on ${broken.length} nodes: a person has to decide`, {
        nodes: broken.map(({ id }) => id),
      }),
    );
  }
  if (waiting.length > 0) {
    return hold(
      view,
      reason('rolling-back', `${waiting.length} of ${cluster.live.length} nodes have not confirmed ${name(view)} yet`, {
        waiting: waiting.map(({ id }) => id),
        waitedMilliseconds: elapsed(view, since),
      }),
    );
  }
  return { kind: 'complete', because: reason('rolled-back', `Every live node is back on ${name(view)}`) };
}

/** Nodes whose assignment is anything but stable, lost ones included. */
export function planRollBack({ cluster, module, stable }: RolloutView): PlannedNode[] {
  return cluster.nodes
    .filter((node) => node.assignment(module) && !routesAlike(node.assignment(module), onStable(stable)))
    .map((node) => ({ nodeId: node.id, plan: onStable(stable) }));
}

function name({ stable }: RolloutView): string {
  return stable ? stable.version : 'no release (absent)';
}
