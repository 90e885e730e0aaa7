import { routesAlike, type KernelNode } from '../kernel-node.js';
import { reason, type Reason } from '../reason.js';
import type { Decision, PlannedNode } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { personHours } from '../rollout/wait.js';
import { onStable } from './plans.js';
import { holdFor } from './readiness.js';

/**
 * The way back, the same for every strategy: all touched nodes at once, no waiting. Absent nodes keep the assignment. It is done when every live
 * node confirms. A node on which stable can't run is not sent back to it: that is said, and a person asked; when nobody has an answer within a
 * day, the rollout ends, and the environment is to run stable wherever it can.
 */
export function decideRollBack(view: RolloutView): Decision {
  const { cluster, module, stable, progress } = view;
  const assign = planRollBack(view);
  if (assign.length > 0 && progress) {
    return {
      kind: 'advance',
      because: reason('rolling-back', `${assign.length} nodes go back to ${name(view)}`),
      assign,
      progress,
    };
  }
  const waiting = cluster.live.filter((node) => node.assignment(module) && !isBack(view, node));
  const broken = stable ? waiting.filter((node) => node.isBroken(module, stable)) : [];
  if (broken.length > 0) {
    const message = `${name(view)} can't run either on ${broken.length} nodes, which keep what they have: a person has to decide`;
    return holdFor(view, personHours * 3600, reason('stable-broken', message, { nodes: ids(broken) }), giveUp);
  }
  if (waiting.length > 0) return awaitReturn(view, waiting);
  return { kind: 'complete', because: reason('rolled-back', `Every live node is back on ${name(view)}`) };
}

/** Nodes whose assignment is anything but stable, lost ones included; without those on which stable can't run. */
export function planRollBack({ cluster, module, stable }: RolloutView): PlannedNode[] {
  return cluster.nodes
    .filter((node) => node.assignment(module) && !routesAlike(node.assignment(module), onStable(stable)))
    .filter((node) => !stable || !node.isBroken(module, stable))
    .map((node) => ({ nodeId: node.id, plan: onStable(stable) }));
}

/** Nodes that have the way back started: for them it is a flip. */
export function countWarm({ cluster, module, stable }: RolloutView, plans: readonly PlannedNode[]): number {
  const planned = new Set(plans.map(({ nodeId }) => nodeId));
  return cluster.live.filter((node) => planned.has(node.id) && (!stable || node.hasReady(module, stable))).length;
}

function isBack({ module, stable }: RolloutView, node: KernelNode): boolean {
  return routesAlike(node.assignment(module), onStable(stable)) && node.confirms(module);
}

/** At once, as a rule. What takes longer than the progress deadline is said to a person; the nodes go on trying. */
function awaitReturn(view: RolloutView, waiting: readonly KernelNode[]): Decision {
  const { cluster, policy } = view;
  const message = `${waiting.length} of ${cluster.live.length} nodes have not confirmed ${name(view)} yet`;
  const ask = () => {
    const asked = `${message}, after more than ${policy.progressDeadlineSeconds} s: a person has to look at them`;
    return holdFor(view, personHours * 3600, reason('rollback-unconfirmed', asked, { waiting: ids(waiting) }), giveUp);
  };
  if (view.waiting?.code === 'rollback-unconfirmed') return ask();
  return holdFor(view, policy.progressDeadlineSeconds, reason('rolling-back', message, { waiting: ids(waiting) }), ask);
}

function giveUp({ message, data }: Reason): Decision {
  const because = reason('rollback-given-up', `Nobody decided within ${personHours} h: ${message}`, data);
  return { kind: 'complete', because };
}

function ids(nodes: readonly KernelNode[]): string[] {
  return nodes.map(({ id }) => id);
}

function name({ stable }: RolloutView): string {
  return stable ? stable.version : 'no release (absent)';
}
