import { second } from '../instant.js';
import type { ProbeOrder } from '../kernel-node.js';
import { reason } from '../reason.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { elapsed } from './readiness.js';
import type { Step } from './steps.js';

/** Of all nodes of a step together: gentle to a module that few people ask. */
const requestsPerSecond = 50;
/** With a twin 15,400 without a failure prove that fewer than eps = .1 points more fail. */
const requestsMax = 20_000;
const secondsMax = 900;

/**
 * Users' requests proved nothing in the step's longest time: its nodes are asked to send the manifest's smoke requests to target and reference, through
 * the coin and the counters that users' requests go through. Null when that is over and nothing was proved by it either.
 */
export function probe(view: RolloutView, step: Step): Decision | 'under-way' | null {
  const { progress, cluster, module } = view;
  if (!progress) return null;
  const { probingSince, stepStartedAt } = progress;
  if (!probingSince || !isProbing(view)) {
    const nodes = cluster.live.filter((node) => step.plan(node).candidate);
    if (nodes.length === 0) return null;
    const order: ProbeOrder = {
      id: `${progress.number}@${stepStartedAt}`,
      requestsPerSecond: requestsPerSecond / nodes.length,
      requestsMax: Math.ceil(requestsMax / nodes.length),
    };
    return {
      kind: 'advance',
      because: reason(
        'probing',
        `${step.title}: users' requests prove nothing; ${nodes.length} nodes send smoke requests`,
      ),
      assign: nodes.map((node) => ({ nodeId: node.id, plan: { ...step.plan(node), probe: order } })),
      progress: { ...progress, probingSince: cluster.now },
    };
  }
  if (elapsed(view, probingSince) < secondsMax * second) return 'under-way';
  const probing = cluster.live.filter((node) => node.assignment(module)?.probe);
  if (probing.length === 0) return null;
  return {
    kind: 'advance',
    because: reason('probed', `${step.title}: ${secondsMax} s of smoke requests prove nothing either`),
    assign: probing.map((node) => ({ nodeId: node.id, plan: step.plan(node) })),
    progress,
  };
}

/** Nodes were asked to probe in the step in hand: what was asked in one before says nothing of this one. */
export function isProbing({ progress }: RolloutView): boolean {
  return progress !== null && (progress.probingSince ?? 0) >= progress.stepStartedAt;
}
