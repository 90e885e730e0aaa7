import type { KernelNode } from '../kernel-node.js';
import type { CanaryStep } from '../policy.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { decideExperiment } from './canary-experiment.js';
import { decideDirect } from './direct.js';
import { besideOrWhole, onStable, onTarget } from './plans.js';
import { chooseScout } from './scout.js';
import { decideSteps, type Step } from './steps.js';
import { isBeyondStable } from './way-back.js';

/**
 * A scout (one node, a small share), then on all nodes a growing share of requests. Each request is given to stable or target by chance
 * inside the node, so both see the same nodes, times and traffic. Judged by the analysis, or where none is kept by the plain guards.
 */
export function decideCanary(view: RolloutView): Decision {
  if (!view.stable) return decideDirect(view);
  const { steps } = view.policy.canary;
  const withEnd =
    steps.at(-1)?.percent === 100 ? steps : [...steps, { percent: 100, minimumSeconds: 0, maximumSeconds: 0 }];
  const shares = withEnd.map((step, index) => shareStep(view, step, index + 1, withEnd.length));
  const all = [...scoutStep(view, withEnd.length), ...shares];
  return view.policy.canary.analysis && view.analysis
    ? decideExperiment(view, all, view.policy.canary.analysis, view.analysis)
    : decideSteps(view, all);
}

function hasTwin({ policy, analysis }: RolloutView): boolean {
  return analysis !== undefined && (policy.canary.analysis?.twin ?? false);
}

function scoutStep(view: RolloutView, of: number): Step[] {
  const { scout } = view.policy.canary;
  const scoutNodeId = chooseScout(view);
  if (!scout || view.cluster.live.length < 2) return [];
  return [
    {
      number: 0,
      targetPercent: scout.percent,
      isShare: true,
      scoutNodeId,
      title: `Canary scout before step 1 of ${of} (${scout.percent} % of requests on one node)`,
      plan: (node) => {
        // One that had been the scout, left and came back keeps its share.
        const isScout = node.id === scoutNodeId || isExposed(view, node);
        if (isScout) return besideOrWhole(view, node, scout.percent, hasTwin(view));
        return isBeyondStable(view, node) ? onTarget(view) : onStable(view.stable);
      },
      bake: { minimumSeconds: scout.seconds, maximumSeconds: scout.seconds, isManual: false },
    },
  ];
}

function isExposed({ module, target }: RolloutView, node: KernelNode): boolean {
  return node.assignment(module)?.candidate?.digest === target.digest;
}

function shareStep(view: RolloutView, step: CanaryStep, number: number, of: number): Step {
  const { percent, minimumSeconds, maximumSeconds, pause = false } = step;
  return {
    number,
    targetPercent: percent,
    isShare: true,
    scoutNodeId: view.progress?.scoutNodeId ?? null,
    title: `Canary step ${number} of ${of} (${percent} % of requests)`,
    plan: (node) => (percent >= 100 ? onTarget(view) : besideOrWhole(view, node, percent, hasTwin(view))),
    // At 100 % stable serves no more: there is nothing left to wait for a comparison with.
    bake: { minimumSeconds, maximumSeconds: percent >= 100 ? minimumSeconds : maximumSeconds, isManual: pause },
  };
}
