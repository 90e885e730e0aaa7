import type { InstanceObservation, KernelNode } from '../kernel-node.js';
import { isCatchingUp } from '../listening.js';
import type { Policy } from '../policy.js';
import { inSeconds, reason, type Reason } from '../reason.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { holdFor } from './readiness.js';

/** How ready the environment is to go back to stable. */
export interface WayBack {
  version: string;
  /** Nodes that have it started, so that going back is a flip. */
  warm: number;
  /** Nodes that would have to start it. */
  cold: number;
  /** Nodes on which it can't run: there is no way back from there. */
  broken: string[];
  /** The longest that a node took to load, start and test it; null: no node says. */
  startSecondsMax: number | null;
  /** How long it stays started after it was replaced, at least; 0: it does not. */
  warmSeconds: number;
}

/**
 * Before the first node is touched stable has to be the way back: started on every node that was given it. Nodes on which it can't run, for whatever
 * reason, are not waited for, and neither are nodes that were not given it; a person may promote it all the same. Null: go on.
 */
export function awaitWayBack(view: RolloutView): Decision | null {
  const { cluster, module, stable, target, progress, policy } = view;
  const isNeeded = stable && stable.digest !== target.digest && !progress && !view.promotion;
  if (!isNeeded || isCatchingUp(cluster.listening, cluster.now)) return null;
  const waiting = cluster.live.filter(
    (node) =>
      node.assignment(module)?.active?.digest === stable.digest &&
      node.failureOf(module, stable) === null &&
      !node.confirms(module),
  );
  if (waiting.length === 0) return null;
  const message = `The way back is not ready: ${stable.version} does not run on ${waiting.length} of ${cluster.live.length} nodes yet`;
  const because = reason('way-back-not-ready', message, {
    waiting: waiting.map(({ id }) => id),
    wayBack: describeWayBack(view),
  });
  return holdFor(view, policy.progressDeadlineSeconds, because, ({ data }) => ({
    kind: 'roll-back',
    because: reason(
      'way-back-deadline',
      `No node was touched: ${stable.version}, the way back, was not ready on ${waiting.length} of ${cluster.live.length} nodes within ${policy.progressDeadlineSeconds} s`,
      data,
    ),
  }));
}

/** The way back stays started for as long as a rollout lasts, two weeks at most: nodes count from their own flip. */
const heldWarmSeconds = 14 * 86_400;

/** How long nodes keep a replaced release started. `isHeld`: a deployment that holds the module there is not over. A policy may keep none started. */
export function warmSecondsOf({ warmSeconds }: Pick<Policy, 'warmSeconds'>, isHeld: boolean): number {
  return isHeld && warmSeconds > 0 ? Math.max(warmSeconds, heldWarmSeconds) : warmSeconds;
}

/** Null where nothing ran before. */
export function describeWayBack({ cluster, module, stable, policy }: RolloutView): WayBack | null {
  if (!stable) return null;
  const warm = cluster.live.filter((node) => node.hasReady(module, stable));
  const broken = cluster.live.filter((node) => node.isBroken(module, stable) && !warm.includes(node));
  const seconds = cluster.live.flatMap((node) =>
    node.instances(module, stable).flatMap((instance) => startSeconds(instance) ?? []),
  );
  return {
    version: stable.version,
    warm: warm.length,
    cold: cluster.live.length - warm.length - broken.length,
    broken: broken.map(({ id }) => id),
    startSecondsMax: seconds.length > 0 ? Math.max(...seconds) : null,
    warmSeconds: policy.warmSeconds,
  };
}

/** From its load to its being ready; null: the node does not say. */
export function startSeconds({ phaseSeconds }: InstanceObservation): number | null {
  const phases = ['load', 'start', 'health', 'smoke'].flatMap((phase) => phaseSeconds?.[phase] ?? []);
  return phases.length > 0 ? phases.reduce((sum, each) => sum + each, 0) : null;
}

/** The reason of a rollout's first step, with how ready the way back is. */
export function withWayBack(view: RolloutView, because: Reason): Reason {
  const wayBack = describeWayBack(view);
  if (!wayBack) return because;
  const { version, warm, cold, broken, startSecondsMax, warmSeconds } = wayBack;
  const started =
    startSecondsMax === null ? '' : `, where it was started in ${inSeconds(startSecondsMax * 1000)} at most`;
  const parts = [
    `${version} runs on ${warm} of ${warm + cold + broken.length} nodes${started}`,
    warmSeconds > 0
      ? `it stays started for ${warmSeconds} s, or as long as the rollout lasts`
      : 'it is not kept started',
    ...(broken.length > 0 ? [`it can't run on ${broken.length}`] : []),
  ];
  return reason(because.code, `${because.message}; way back: ${parts.join(', ')}`, { ...because.data, wayBack });
}

/** There is nothing to lose on a node where stable can't run, and nothing to go back to on one that was given target for that reason. */
export function isBeyondStable({ module, stable, target }: RolloutView, node: KernelNode): boolean {
  if (!stable) return false;
  return node.assignment(module)?.active?.digest === target.digest || node.isBroken(module, stable);
}
